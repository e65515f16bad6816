"""`preprocess_input` of the families of `keras.applications`: of pixels, or as layers."""
