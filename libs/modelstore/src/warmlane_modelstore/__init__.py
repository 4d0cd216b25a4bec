"""The model store: weights arrive whole, once, verified, and make room for themselves.

Importing this package imports nothing else, so that `status` stays a matter of milliseconds. Callers name what they
use: `warmlane_modelstore.store.ModelStore` does everything, the other modules each hold one noun of it.
"""
