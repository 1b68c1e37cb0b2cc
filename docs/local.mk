# docs: its part of the makefile.
dist_man_MANS += docs/atlas-sandbox.1 docs/orgsync.1 docs/orgsync.yaml.5
dist_doc_DATA += docs/ARCHIVE.md docs/ATLAS.md docs/DEPENDENCIES.md docs/DESIGN.md docs/GUARANTEES.md docs/ISOLATION.md docs/OUTPUT.md docs/PERFORMANCE.md docs/SYNC.md
