"""The formats of the export: each takes the same cells, column by column, and writes files of its own."""
