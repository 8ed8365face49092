# make labextension: build the JupyterLab extension when its sources changed, and link it into the environment.
.PHONY: labextension
labextension:
	kernel_ext/labextension/build.sh $(CURDIR)/.venv
