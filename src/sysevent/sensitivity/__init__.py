"""How sensitive the contract is: kernels with one edit each, and the claims that notice it."""
