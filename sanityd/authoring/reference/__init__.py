"""What editors and the documentation read from the code: the JSON Schema and the manual pages."""
