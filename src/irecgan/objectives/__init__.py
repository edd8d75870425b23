"""The paper's objectives as pure functions of tensors: they know neither models nor data.

Losses are sums over steps divided by the number of sessions, the expectation over sessions of the
equations, so that neither padding nor the make-up of a batch weighs in.
"""
