"""What a guest and its VMM do: steps, encoded as a request; and the reply, decoded as an observation. No I/O."""
