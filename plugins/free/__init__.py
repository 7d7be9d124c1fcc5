"""Methods that do without: initialization, gradient clipping, element-wise replacements."""
