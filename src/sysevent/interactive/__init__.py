"""A person or a script at a shell on a target: what is behind `sysevent shell`."""
