# examples: what a newcomer runs and reads.
EXTRA_DIST += examples/install-packages.sh examples/quickstart.sh
