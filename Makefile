# Every target is one call of the `stack` command line, after the set-up that it needs.

# A value may be the name of a downloaded file, or a text from elsewhere: neither make nor the shell reads it. Make takes it as it stands,
# and a recipe hands it on by the environment; use `option`, `argument` and `switch`, and `$(value X)` in place of `$(X)`.
$(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(eval override export $(name) := $$(value $(name)))))
option = $(if $(value $(1)),"--$(2)=$$$(1)")
argument = $(if $(value $(1)),-- "$$$(1)")
require = $(if $(value $(1)),,$(error $(2)))
switch = $(if $(value $(1)),--$(2))

# Hundreds of processes import the same packages: each would compile them anew.
unexport PYTHONDONTWRITEBYTECODE
# Two threads of one fit wait for each other where other processes are busy too: 13 s instead of 0.3 s.
export OMP_NUM_THREADS ?= 1

PYTHON ?= python3
PROJECT ?= flights
export PROJECT
STACK := .venv/bin/stack
COMPILE := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header
TEST := .venv/bin/python -m pytest $(call switch,NO_SKIPS,no-skips)
# With lower priority, as the tests of the running stack take longest.
after = log=$$(mktemp) && { nice -n 5 $(1) >$$log 2>&1; status=$$?; cat $$log; rm $$log; exit $$status; }

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev up demo join token tokens down status logs doctor alarm clock env clean refresh backup restore upgrade workspace new import eject check catalog extras packages example run ingest train sweep promote rollback approve refuse canary remove pause resume audit reproduce package export notebook predict monitor skew replay report test test-running test-stack test-others test-slow test-compose fuzz soak bench lock lint

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:
	@$(PYTHON) -m stack.ops.bootstrap

setup-dev:
	@$(PYTHON) -m stack.ops.bootstrap --dev

up: setup ## Start the stack, wait until it is healthy, run the first pipeline (RUNTIME=local|compose PROFILES=feast-ui,lan)
	@$(STACK) up $(call option,RUNTIME,runtime) $(call option,PROFILES,profiles)

demo: setup ## Play a year of flights in a stack of its own, then show it to all, read-only (UNTIL=2013-03-31 RUNTIME; STOP=1 stops it)
	@$(STACK) demo $(call option,UNTIL,until) $(call option,RUNTIME,runtime) $(call switch,STOP,stop)

join: setup ## Train for the stack on another machine (URL=https://<machine>:8443 RUNTIME PROFILES=dask; asks for the key, or KEY)
	@$(call require,URL,name the gateway there: make join URL=https://<machine>:8443)
	@JOIN_KEY="$$KEY" $(STACK) join $(call option,URL,url) $(call option,RUNTIME,runtime) $(call option,PROFILES,profiles)

token: setup ## Make a token and print it once, or revoke one (PROJECT=churn|all FOR=predict,feedback,rows,admin|train NAME; REVOKE=<id>)
	@$(STACK) token $(call option,PROJECT,project) $(call option,FOR,for) $(call option,NAME,name) $(call option,REVOKE,revoke)

tokens: setup ## List the tokens: id, name, project, purposes, when each was made and last used
	@$(STACK) tokens

down: setup ## Stop every service; the state stays
	@$(STACK) down

status: setup ## Show health, port, memory, restarts and uptime of every service
	@$(STACK) status

logs: setup ## Show and follow the log of a service, or of all (SERVICE=mlflow)
	@$(STACK) logs $(call argument,SERVICE)

doctor: setup ## Look for what is wrong and say what to do; DEEP=1 compares all data with its hashes
	@$(STACK) doctor $(call switch,DEEP,deep)

alarm: setup ## Send an alarm to STACK_ALERT_URLS, to see that it arrives
	@$(STACK) alarm

clock: setup ## Say whether the clock has jumped; TRUST=1 believes it as it is now
	@$(STACK) clock $(call switch,TRUST,trust)

env: setup ## Print exports for eval "$(make env)": then mlflow, feast, dvc and prefect work on the stack (SECRETS=1)
	@$(STACK) env $(call switch,SECRETS,secrets)

clean: setup ## Delete all state, after asking (YES=1 does not ask)
	@$(STACK) clean $(call switch,YES,yes)

refresh: setup ## Take up what has changed in projects/ and feature_repo/ while the stack runs
	@$(STACK) refresh

backup: setup ## Write all state into one archive, while the stack runs (OUT=backups SECRETS=1)
	@$(STACK) backup $(call option,OUT,out) $(call switch,SECRETS,secrets)

restore: setup ## Bring back the state of an archive, the newest without FILE (FILE RUNTIME SECRETS=1; YES=1 moves old state aside)
	@$(STACK) restore $(call option,RUNTIME,runtime) $(call switch,YES,yes) $(call switch,SECRETS,secrets) $(call argument,FILE)

# With the packages that wrote the state; `stack upgrade` installs the new ones after the backup.
upgrade: $(if $(wildcard $(STACK)),,setup) ## Back up, take packages and databases to the checked-out version, restart (OUT=backups)
	@$(STACK) upgrade $(call option,OUT,out)

workspace: setup ## Make a git repository of your own for projects, and use it from now on (DIR=~/ml EXAMPLES=flights,titanic)
	@$(call require,DIR,name the folder: make workspace DIR=~/ml)
	@$(STACK) workspace $(call option,EXAMPLES,examples) $(call argument,DIR)

new: setup ## Write a project from a table (NAME=churn FROM=file.csv TARGET TIME KNOWN KEYS=a,b TASK ZONE GROUP KEEP MISSING=-200 AHEAD=a,b STEPS=24 TABLE SENSOR UNFINISHED=1)
	@$(call require,NAME,name the project: make new NAME=churn FROM=file.csv)
	@$(STACK) new $(call option,FROM,from) $(call option,TABLE,table) $(call option,SENSOR,sensor) $(call option,TARGET,target) $(call option,TIME,time) $(call option,KNOWN,known) $(call option,GROUP,group) $(call option,KEEP,keep) $(call option,MISSING,missing) $(call option,AHEAD,ahead) $(call option,STEPS,steps) $(call switch,UNFINISHED,unfinished) $(call option,KEYS,keys) $(call option,TASK,task) $(call option,ZONE,zone) $(call argument,NAME)

import: setup ## Serve a model that another tool has trained (NAME=churn MODEL=model.onnx|folder|models:/x/1 EXAMPLE=row.json SAMPLE=rows.csv LABEL TASK CLASSES OUTPUT)
	@$(call require,NAME,name the project: make import NAME=churn MODEL=model.onnx)
	@$(call require,MODEL,name the model: make import NAME=churn MODEL=model.onnx)
	@$(STACK) import $(call option,MODEL,model) $(call option,EXAMPLE,example) $(call option,SAMPLE,sample) $(call option,LABEL,label) $(call option,TASK,task) $(call option,CLASSES,classes) $(call option,OUTPUT,output) $(call argument,NAME)

eject: setup ## Write what project.yaml declares as Python files, to be changed (PROJECT PARTS=source,features,checks,definitions)
	@$(STACK) eject $(call option,PARTS,parts) $(call argument,PROJECT)

check: setup ## Say what is wrong with a project, in seconds and before anything runs (PROJECT)
	@$(STACK) check $(call argument,PROJECT)

extras: setup ## Install packages that few projects need: LightGBM and XGBoost as candidates of the search (NAME=boosters)
	@$(call require,NAME,name the extra: make extras NAME=boosters)
	@.venv/bin/python -m stack.ops.bootstrap $(call argument,NAME)

packages: setup ## Lock the packages of a project's own requirements.txt (PROJECT)
	@$(STACK) packages $(call argument,PROJECT)

example: ## Install the data of the examples, then run one: titanic, housing, insurance, bikes, weather (NAME=titanic)
	@$(PYTHON) -m stack.ops.bootstrap --examples
	@$(STACK) up --no-pipeline
	@$(call require,NAME,name the example: make example NAME=titanic)
	@$(STACK) run $(call argument,NAME)

catalog: setup ## List every data set of a project, and where its page is (PROJECT)
	@$(STACK) catalog $(call argument,PROJECT)

run: setup ## Run the whole pipeline of a project (PROJECT=flights)
	@$(STACK) run $(call argument,PROJECT)

ingest: setup ## Ingest a window of a project (PROJECT SINCE UNTIL)
	@$(STACK) ingest $(call option,SINCE,since) $(call option,UNTIL,until) $(call argument,PROJECT)

train: setup ## Train a project; the gate decides whether the model goes live (PROJECT UNTIL)
	@$(STACK) train $(call option,UNTIL,until) $(call argument,PROJECT)

sweep: setup ## Compare models, feature sets and parameters of a project on one page (PROJECT TRIALS=50 UNTIL)
	@$(STACK) sweep $(call option,TRIALS,trials) $(call option,UNTIL,until) $(call argument,PROJECT)

promote: setup ## Judge the challenger of a project and promote it when it passes (PROJECT)
	@$(STACK) promote $(call argument,PROJECT)

rollback: setup ## Make the previous version of a project champion again, at once (PROJECT REASON)
	@$(STACK) rollback $(call option,REASON,reason) $(call argument,PROJECT)

approve: setup ## Promote the version that is awaiting approval (PROJECT COMMENT)
	@$(STACK) approve $(call option,COMMENT,comment) $(call argument,PROJECT)

refuse: setup ## Refuse the version that is awaiting approval (PROJECT COMMENT)
	@$(STACK) refuse $(call option,COMMENT,comment) $(call argument,PROJECT)

canary: setup ## Try versions that pass the gate on a share of the requests first, or say whether (PROJECT SHARE=0.1; 0 ends it)
	@$(STACK) canary $(call option,SHARE,share) $(call argument,PROJECT)

remove: setup ## Delete a project with its data, models, answers and reports, after asking (PROJECT; KEEP=1 keeps its files, YES=1 does not ask)
	@$(STACK) remove $(call switch,KEEP,keep) $(call switch,YES,yes) $(call argument,PROJECT)

pause: setup ## Start nothing of a project by itself until it is resumed (PROJECT)
	@$(STACK) pause $(call argument,PROJECT)

resume: setup ## Let schedules and retraining of a project start again (PROJECT)
	@$(STACK) resume $(call argument,PROJECT)

audit: setup ## Show the decisions about which version of a project is live, and what was done in the browser (PROJECT)
	@$(STACK) audit $(call argument,PROJECT)

reproduce: setup ## Rebuild a model from its run, compare metrics and predictions (RUN=<MLflow run id>; ANYWAY=1: code as it is)
	@$(call require,RUN,name the run: make reproduce RUN=<MLflow run id>)
	@$(STACK) reproduce $(call switch,ANYWAY,anyway) $(call argument,RUN)

package: setup ## Pack the champion: a wheel that predicts without the stack, and a Bento (PROJECT OUT=dist)
	@$(STACK) package $(call option,OUT,out) $(call argument,PROJECT)

export: setup ## Compile a project's pipeline for another orchestrator (PROJECT TO=kubeflow IMAGE OUT=dist)
	@$(STACK) export --to="$${TO:-kubeflow}" $(call option,IMAGE,image) $(call option,OUT,out) $(call argument,PROJECT)

notebook: setup-dev ## Open Jupyter with the environment of the running stack
	@$(STACK) notebook

predict: setup ## Score a file or a window with the champion (PROJECT SINCE UNTIL INPUT OUTPUT)
	@$(STACK) predict $(call option,SINCE,since) $(call option,UNTIL,until) $(call option,INPUT,input) $(call option,OUTPUT,output) $(call argument,PROJECT)

monitor: setup ## Report drift and performance of a project (PROJECT UNTIL)
	@$(STACK) monitor $(call option,UNTIL,until) $(call argument,PROJECT)

skew: setup ## Compare the features of logged predictions with the offline store's (PROJECT SINCE UNTIL)
	@$(STACK) skew $(call option,SINCE,since) $(call option,UNTIL,until) $(call argument,PROJECT)

replay: setup ## Play recorded data forward to the end of a date; interrupted, it goes on (PROJECT UNTIL=2013-12-31; PROFILE=1: where the time went)
	@$(STACK) replay $(call option,UNTIL,until) $(call switch,PROFILE,profile) $(call argument,PROJECT)

report: setup ## Write the page of a replay: live, frozen and weekly retrained model, drift and decisions (PROJECT)
	@$(STACK) report $(call argument,PROJECT)

# In three processes, as tests of services wait for them; the output of the last two comes when they have ended.
test: setup-dev ## Check the code and run every test that needs no Docker engine, but the slow ones (NO_SKIPS=1: a skip fails; PROJECT: only try out that one)
	@$(if $(filter-out file,$(origin PROJECT)),$(STACK) test $(call argument,PROJECT),$(MAKE) --no-print-directory --keep-going --jobs 3 test-running test-stack test-others lint)

# In the order of their names: one stack goes through all of them.
test-running: setup-dev ## Start one stack and run the tests that ask it
	@$(TEST) -m "running and not slow" $$(grep --recursive --files-with-matches --word-regexp --include='test_*.py' running tests/browser tests/end_to_end tests/services | sort)

test-stack: setup-dev ## Run the tests of the platform
	@$(call after,$(TEST) -m "not slow" tests/stack)

test-others: setup-dev ## Run the tests of flows, services, monitoring and projects
	@$(call after,$(TEST) -m "not running and not slow" --ignore tests/compose --ignore tests/stack)

test-slow: setup-dev ## Kill runs at every step and at random moments, and compare with undisturbed ones (minutes)
	@$(TEST) tests/end_to_end tests/stack -m slow

test-compose: setup-dev ## Build the image and test the stack in containers; skipped where no Docker engine answers (NO_SKIPS=1: a skip fails)
	@$(TEST) tests/compose

fuzz: setup-dev ## Send generated requests to every route of a stack that it starts (CASES=10000 SEED=1)
	@.venv/bin/python -m tests.fuzz $(call option,CASES,cases) $(call option,SEED,seed)

soak: setup-dev ## Kill services of a stack of its own at random under load, then account for all of it (MINUTES=60 SEED)
	@.venv/bin/python -m tests.soak $(call option,MINUTES,minutes) $(call option,SEED,seed)

bench: setup-dev ## Measure start-up, idle cost, serving, pages, scoring and the join of features, beside baselines and the last run
	@.venv/bin/python -m bench

lock: setup ## Resolve the packages of pyproject.toml anew into the locks
	@$(COMPILE) pyproject.toml --output-file requirements.lock
	@$(COMPILE) --group setup --constraint requirements.lock --output-file requirements-setup.lock
	@$(COMPILE) --group dev --constraint requirements.lock --output-file requirements-dev.lock
	@$(COMPILE) --group export --output-file requirements-export.lock
	@$(COMPILE) --group boosters --no-deps --constraint requirements.lock --output-file requirements-boosters.lock
	@$(COMPILE) --group examples --no-deps --output-file requirements-examples.lock

lint: setup-dev ## Lint, format check, types, floors
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports
