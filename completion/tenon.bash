# SPDX-License-Identifier: Apache-2.0
#
# Completion of tenon(1) for bash: commands, their options and values, and the names of objects.

_tenon_commands='create rm ls stat send recv peek work run lock sem event barrier once region shm bench doctor help version'

_tenon_kinds='queue lock semaphore semaphore-set event condition barrier once region shm segment'

_tenon_create_options()
{
	echo '--mode --participants --exclusive --json'
	[[ $1 == @(|queue) ]] && echo '--capacity --order --full --message-size --max-bytes'
	[[ $1 == @(|lock) ]] && echo '--recursive --inherit'
	[[ $1 == @(|semaphore|semaphore-set) ]] && echo '--value --maximum'
	[[ $1 == @(|barrier|semaphore-set) ]] && echo '--count'
	[[ $1 == @(|event) ]] && echo '--manual --set'
	[[ $1 == @(|region|shm) ]] && echo '--size'
	[[ $1 == @(|region) ]] && echo '--max-size'
}

_tenon_sem_options()
{
	[[ $1 == @(|acquire) ]] &&
		echo '--nonblock --timeout --conflict-exit-code --quiet --create --value --maximum'
	[[ $1 == @(|get) ]] && echo '--json'
}

_tenon_region_options()
{
	[[ $1 == @(|dump|load) ]] && echo '--offset'
	[[ $1 == @(|dump) ]] && echo '--length --output --hex --raw'
	[[ $1 == @(|load) ]] && echo '--create --max-size'
	[[ $1 == @(|load|seal) ]] && echo '--grow'
	[[ $1 == @(|seal) ]] && echo '--write'
	[[ $1 == @(|load|grow|seal) ]] && echo '--timeout'
}

_tenon_shm_options()
{
	[[ $1 == @(|dump|load) ]] && echo '--offset'
	[[ $1 == @(|dump) ]] && echo '--length --output --hex --raw'
	[[ $1 == @(|load) ]] && echo '--create --grow'
}

# Of a command; `what`, which may be empty, is the kind to be made, or what is to be done.
_tenon_options()
{
	local what=$2

	case $1 in
	create) _tenon_create_options "$what" ;;
	rm) echo '--force --json --kind' ;;
	ls) echo '--long --json --null --kind' ;;
	stat) echo '--json --watch --interval --kind' ;;
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
	run) echo '--only --limits --quiet' ;;
	lock) echo '--shared --exclusive --nonblock --timeout --conflict-exit-code --quiet --if-dead' ;;
	sem) _tenon_sem_options "$what" ;;
	event | barrier)
		[[ $what == @(|wait) ]] && echo '--nonblock --timeout --conflict-exit-code --quiet'
		;;
	once) echo '--nonblock --timeout --conflict-exit-code --quiet --if-dead' ;;
	region) _tenon_region_options "$what" ;;
	shm) _tenon_shm_options "$what" ;;
	bench) echo '--duration --json' ;;
	doctor | version) echo '--json' ;;
	esac
}

# Names of objects, of all kinds if none is given, with a leading slash if that is how the word begins.
# A name may hold anything but a slash; what a shell would not take as one word is quoted.
_tenon_names()
{
	local namespace=$1 word=$2 kind=$3 name
	local -a namespace_option=() kind_option=()

	[[ -n $namespace ]] && namespace_option=(--namespace "$namespace")
	[[ -n $kind ]] && kind_option=(--kind "$kind")
	while IFS= read -r name; do
		[[ $word == /* ]] || name=${name#/}
		[[ $name == "$word"* ]] && COMPREPLY+=("$(printf '%q' "$name")")
	done < <(tenon "${namespace_option[@]}" ls "${kind_option[@]}" 2>/dev/null | uniq)
}

_tenon_words()
{
	local word=$1

	shift
	# shellcheck disable=SC2207 # The words are this script's own and have no blanks.
	COMPREPLY+=($(compgen -W "$*" -- "$word"))
}

# Of a list, separated by commas, the last word; what is in it already is not offered once more.
_tenon_list()
{
	local word=$1 before='' one

	shift
	[[ $word == *,* ]] && before=${word%,*},
	for one; do
		[[ ,$before == *,$one,* ]] || _tenon_words "$word" "$before$one"
	done
}

# Completes the value of an option; fails if the option has none.
_tenon_value()
{
	local option=$1 word=$2 namespace=$3 command=$4

	# The same letter is an option without a value there.
	[[ $command:$option == @(lock:-n|sem:-n|event:-n|barrier:-n|once:-n|stat:-w) ]] && return 1
	case $option in
	--namespace | --output-dir)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -d -- "$word")
		;;
	--file | -f | --output | -o)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		;;
	--order) _tenon_words "$word" fifo priority typed ;;
	--full) _tenon_words "$word" wait fail drop-oldest drop-newest ;;
	--capacity) _tenon_words "$word" rendezvous unbounded ;;
	--tries) _tenon_words "$word" unlimited ;;
	--kind) _tenon_words "$word" "$_tenon_kinds" ;;
	--only) _tenon_list "$word" mq msg sem shm ;;
	--limits) _tenon_words "$word" kernel none ;;
	--if-dead) _tenon_words "$word" run fail ;;
	--dead) _tenon_names "$namespace" "$word" queue ;;
	--message | -m | --key | --priority | --type | --timeout | -t | --count | -n | --position | \
		-p | --interval | --jobs | -j | --duration | --message-size | --max-bytes | --mode | --participants | \
		--value | --maximum | --size | --max-size | --offset | --length | \
		-w | --conflict-exit-code | -E) ;;
	*) return 1 ;;
	esac
}

# `kind` is that of --kind, or of what is created.
_tenon_operand()
{
	local command=$1 position=$2 word=$3 namespace=$4 kind=$5

	case $command:$position in
	create:0) _tenon_words "$word" "${_tenon_kinds% segment}" ;;
	create:1) _tenon_names "$namespace" "$word" "$kind" ;;
	send:0 | recv:0 | peek:0 | work:0) _tenon_names "$namespace" "$word" queue ;;
	lock:0) _tenon_names "$namespace" "$word" lock ;;
	once:0) _tenon_names "$namespace" "$word" once ;;
	sem:0) _tenon_words "$word" acquire release get ;;
	sem:1) _tenon_names "$namespace" "$word" semaphore ;;
	event:0) _tenon_words "$word" wait set reset pulse ;;
	event:1) _tenon_names "$namespace" "$word" event ;;
	barrier:0) _tenon_words "$word" wait ;;
	barrier:1) _tenon_names "$namespace" "$word" barrier ;;
	region:0) _tenon_words "$word" dump load grow seal ;;
	region:1) _tenon_names "$namespace" "$word" region ;;
	shm:0) _tenon_words "$word" dump load ;;
	shm:1) _tenon_names "$namespace" "$word" shm ;;
	rm:* | stat:*) _tenon_names "$namespace" "$word" "$kind" ;;
	run:0 | work:1 | lock:1 | once:1 | sem:2)
		mapfile -t COMPREPLY < <(compgen -c -- "$word")
		;;
	run:* | work:* | lock:* | once:* | sem:* | region:2 | shm:2 | doctor:0)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		;;
	help:0) _tenon_words "$word" "$_tenon_commands" ;;
	esac
}

_tenon()
{
	local word command='' namespace='' kind='' what='' previous=''
	local -i i position=0 ended=0 last
	local -a words=()

	# bash takes --option=value apart, into three: the last is the option's value as if it stood alone.
	for ((i = 0; i <= COMP_CWORD; ++i)); do
		[[ ${COMP_WORDS[i]} == = && ${COMP_WORDS[i - 1]} == --* ]] && ((i < COMP_CWORD)) && continue
		words+=("${COMP_WORDS[i]}")
	done
	last=$((${#words[@]} - 1))
	word=${words[last]}
	[[ $word == = ]] && word=''

	COMPREPLY=()
	for ((i = 1; i < last; ++i)); do
		previous=${words[i]}
		if ((ended)); then
			((++position))
		elif [[ $previous == -- ]]; then
			ended=1
		elif [[ $previous == -* ]]; then
			# An option with a value takes the next word, which may be the one to complete.
			if [[ $previous != *=* ]] && _tenon_value "$previous" '' '' "$command" 2>/dev/null; then
				if ((i + 1 == last)); then
					COMPREPLY=()
					_tenon_value "$previous" "$word" "$namespace" "$command"
					return
				fi
				((++i))
				[[ $previous == --namespace ]] && namespace=${words[i]}
				[[ $previous == --kind ]] && kind=${words[i]}
			fi
			[[ $previous == --kind=* ]] && kind=${previous#*=}
		elif [[ -z $command ]]; then
			command=$previous
		else
			[[ $command:$position == create:0 ]] && kind=$previous
			((position)) || what=$previous
			((++position))
		fi
		COMPREPLY=()
	done
	if [[ -z $command ]]; then
		if [[ $word == -* ]]; then
			_tenon_words "$word" --namespace --help --version
		else
			_tenon_words "$word" "$_tenon_commands"
		fi
	elif [[ $word == -* ]] && ! ((ended)); then
		_tenon_words "$word" "$(_tenon_options "$command" "$what")" --namespace --help
	else
		_tenon_operand "$command" "$position" "$word" "$namespace" "$kind"
	fi
}

complete -F _tenon tenon
