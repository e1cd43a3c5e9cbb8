"""The source, features and checks that project.yaml declares, for a project without Python files of its own."""
