"""Problems of learning from replies: bandits whose rewards a method pays to see."""
