"""Models as operators, and back: what ONNX files and PyTorch modules are read from and written as.

An `Operator` has ONNX's name, attributes and layout. `decompose` makes operators of a model's
layers, `assemble` makes layers of operators, and `verify` compares a model with what it was made
of, or what was made of it.
"""
