#!/bin/sh
case "$1 $2" in
"--list ") echo '{"etcd": ["n1", "n2"], "web": {"hosts": ["n2", "n3"], "vars": {"a": "group"}}}' ;;
"--host n1") echo '{"a": "n1", "big": 1e3, "list": [1, [2]]}' ;;
"--host n2") ;;
*) echo '{"a": "'"$2"'"}' ;;
esac
