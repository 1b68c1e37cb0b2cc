# examples: what a newcomer runs and reads.
