#!/bin/bash
# Settings of OpenSearch come from the environment, by their own names (discovery.type=single-node), as in the official
# image. DISABLE_SECURITY_PLUGIN and its like are for what is not in this one.
set -euo pipefail
if [ $# -eq 0 ] || [[ $1 == -* ]]; then
    set -- opensearch "$@"
fi
[ "$1" = opensearch ] || exec "$@"
shift
settings=()
# env itself, since the shell does not know variables with a dot in their names.
while IFS= read -r -d '' variable; do
    if [[ $variable =~ ^[a-z0-9_]+(\.[a-z0-9_-]+)+= ]]; then
        settings+=("-E$variable")
    fi
done < <(env -0)
exec bin/opensearch "${settings[@]}" "$@"
