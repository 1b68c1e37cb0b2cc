# docs: its part of the makefile.
dist_doc_DATA += docs/ATLAS.md
dist_man_MANS += docs/orgsync.1
dist_doc_DATA += docs/OUTPUT.md
dist_doc_DATA += docs/DESIGN.md docs/DEPENDENCIES.md
dist_man_MANS += docs/orgsync.yaml.5
dist_man_MANS += docs/orgsync.1
dist_doc_DATA += docs/OUTPUT.md
dist_doc_DATA += docs/DESIGN.md docs/DEPENDENCIES.md
dist_doc_DATA += docs/ATLAS.md
dist_man_MANS += docs/atlas-sandbox.1
