"""The methods that normlab ships besides its built-in ones, one file a method, by where the method acts."""
