"""Results as plotly figures, tables and reports."""
