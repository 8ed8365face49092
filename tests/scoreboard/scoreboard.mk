# The scoreboard of the diagnosis. Included by the Makefile, which sets PYTHON.
K8SGPT ?=

.PHONY: scoreboard k8sgpt
scoreboard: control-plane ## stage every fault, diagnose, repair and judge; writes docs/scoreboard.md (SEED, K8SGPT=1)
	@$(PYTHON) -m tests.scoreboard --page --seed $(SEED) $(if $(K8SGPT),--k8sgpt)

k8sgpt: ## build k8sgpt from the Go module proxy, once, to compare with (needs Go)
	@$(PYTHON) -m tests.scoreboard.gpt_build

.PHONY: incidents
incidents: control-plane ## read every staged incident anew for the calibration (tests/scoreboard/seen.json.gz)
	@$(PYTHON) -m tests.scoreboard.seen
