"""Problems of optimization."""
