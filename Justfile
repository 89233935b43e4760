# Recipes call the scripts, so that everything works without just, too.

_usage:
    @just --list --unsorted

# build bin/gantry
build:
    CGO_ENABLED=0 go build -o bin/gantry ./agents

# start a cluster on this machine and show that it works
up *args:
    ./scripts/up {{args}}

# remove it again
down *args:
    ./scripts/down {{args}}

# every check and test
test *args:
    ./scripts/test {{args}}

# what CI runs
ci:
    bash .ci/run

# format
fix:
    gofmt -w agents registry schema scripts integration

# break etcd, the network and the data under a running cluster (slow)
faults *args:
    ./scripts/faults {{args}}

# measure a control plane beside raw floors (slow)
bench *args:
    ./scripts/bench {{args}}

# compare the gateway with the real kube-apiserver, request by request
oracle *args:
    ./scripts/oracle {{args}}

# run unmodified kubectl, Helm, client-go and controller-runtime against it (slow)
clients *args:
    ./scripts/clients {{args}}
