"""The methods that Section IV compares SEGIN with, one file each, written from their papers."""
