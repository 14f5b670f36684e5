"""Where work runs: in this process, in processes of this computer, or on a Ray cluster."""
