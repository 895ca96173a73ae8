"""Problems of discrete optimisation."""
