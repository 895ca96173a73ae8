"""One declarative file a study, in a folder a family; every file is found by its name."""
