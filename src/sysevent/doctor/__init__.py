"""What this machine has and lacks, and how to install it: the checks behind `sysevent doctor`."""
