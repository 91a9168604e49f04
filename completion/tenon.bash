# SPDX-License-Identifier: Apache-2.0
#
# Completion of tenon(1) for bash: commands, their options and values, and the names of queues.

_tenon_options()
{
	case $1 in
	create)
		echo '--capacity --order --full --message-size --mode --participants --exclusive
			--json'
		;;
	rm) echo '--force --json' ;;
	ls) echo '--long --json --null' ;;
	stat) echo '--json --watch --interval' ;;
	send)
		echo '--null --length-prefixed --file --message --priority --type --key --no-wait
			--timeout --receipt --json --create'
		;;
	recv)
		echo '--all --count --follow --no-wait --timeout --null --length-prefixed --raw --json
			--output-dir --lease --type --except --lowest --quiet'
		;;
	peek)
		echo '--position --all --null --length-prefixed --raw --json --type --except --lowest
			--quiet'
		;;
	work) echo '--jobs --tries --dead --exit-when-empty --progress --json' ;;
	bench) echo '--duration --json' ;;
	doctor | version) echo '--json' ;;
	esac
}

# Names of queues, with a leading slash if that is how the word begins.  A name may hold anything but
# a slash; what a shell would not take as one word is quoted.
_tenon_names()
{
	local namespace=$1 word=$2 name
	local -a namespace_option=()

	[[ -n $namespace ]] && namespace_option=(--namespace "$namespace")
	while IFS= read -r name; do
		[[ $word == /* ]] || name=${name#/}
		[[ $name == "$word"* ]] && COMPREPLY+=("$(printf '%q' "$name")")
	done < <(tenon "${namespace_option[@]}" ls 2>/dev/null)
}

_tenon_words()
{
	local word=$1

	shift
	# shellcheck disable=SC2207 # The words are this script's own and have no blanks.
	COMPREPLY+=($(compgen -W "$*" -- "$word"))
}

# Completes the value of an option; fails if the option has none.
_tenon_value()
{
	local option=$1 word=$2 namespace=$3

	case $option in
	--namespace | --output-dir)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -d -- "$word")
		;;
	--file | -f)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		;;
	--order) _tenon_words "$word" fifo priority typed ;;
	--full) _tenon_words "$word" wait fail drop-oldest drop-newest ;;
	--capacity) _tenon_words "$word" rendezvous unbounded ;;
	--tries) _tenon_words "$word" unlimited ;;
	--dead) _tenon_names "$namespace" "$word" ;;
	--message | -m | --key | --priority | --type | --timeout | -t | --count | -n | --position | \
		-p | --interval | --jobs | -j | --duration | --message-size | --mode | --participants) ;;
	*) return 1 ;;
	esac
}

_tenon_operand()
{
	local command=$1 position=$2 word=$3 namespace=$4

	case $command:$position in
	create:0) _tenon_words "$word" queue ;;
	create:1 | send:0 | recv:0 | peek:0 | work:0) _tenon_names "$namespace" "$word" ;;
	rm:* | stat:*) _tenon_names "$namespace" "$word" ;;
	work:1)
		mapfile -t COMPREPLY < <(compgen -c -- "$word")
		;;
	work:* | doctor:0)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		;;
	help:0) _tenon_words "$word" create rm ls stat send recv peek work bench doctor help version ;;
	esac
}

_tenon()
{
	local word=${COMP_WORDS[COMP_CWORD]} command='' namespace='' previous=''
	local -i i position=0 ended=0

	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; ++i)); do
		previous=${COMP_WORDS[i]}
		if ((ended)); then
			((++position))
		elif [[ $previous == -- ]]; then
			ended=1
		elif [[ $previous == -* ]]; then
			# An option with a value takes the next word, which may be the one to complete.
			if [[ $previous != *=* ]] && _tenon_value "$previous" '' '' 2>/dev/null; then
				if ((i + 1 == COMP_CWORD)); then
					COMPREPLY=()
					_tenon_value "$previous" "$word" "$namespace"
					return
				fi
				((++i))
				[[ $previous == --namespace ]] && namespace=${COMP_WORDS[i]}
			fi
		elif [[ -z $command ]]; then
			command=$previous
		else
			((++position))
		fi
		COMPREPLY=()
	done
	if [[ -z $command ]]; then
		if [[ $word == -* ]]; then
			_tenon_words "$word" --namespace --help --version
		else
			_tenon_words "$word" create rm ls stat send recv peek work bench doctor help version
		fi
	elif [[ $word == -* ]] && ! ((ended)); then
		_tenon_words "$word" "$(_tenon_options "$command")" --namespace --help
	else
		_tenon_operand "$command" "$position" "$word" "$namespace"
	fi
}

complete -F _tenon tenon
