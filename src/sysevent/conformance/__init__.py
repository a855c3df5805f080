"""The contract as a model that can be executed: what KVM may answer to any sequence of actions. No I/O."""
