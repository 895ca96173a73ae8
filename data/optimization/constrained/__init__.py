"""Problems with equality constraints, nonlinear and not convex."""
