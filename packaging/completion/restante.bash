# bash completion for restante

_restante_options() {
    local url="--tls --ca-file --pin --verify" verbose="--quiet --verbose --trace"

    case "$1" in
    check*) echo "--fail-if-empty --no-progress --json $verbose" ;;
    status* | verify*) echo "--json" ;;
    probe*) echo "$url $verbose" ;;
    mark-seen*) echo "--json $verbose" ;;
    "state show") echo "--json" ;;
    "state import") echo "--format --all-accounts" ;;
    "config check") echo "--quiet" ;;
    "config show") echo "--changed --defaults" ;;
    "config describe") echo "--man" ;;
    state* | config* | help*) ;;
    *)
        echo "--dry-run --keep-all --retry --fail-if-empty --daemon --no-progress --deliver --keep --user" \
            "--password-command --password-file --auth --plaintext-auth --json $url $verbose"
        ;;
    esac
}

_restante_accounts() {
    command restante config show --changed 2>/dev/null | sed -n 's/^account "\([^"]*\)".*/\1/p'
}

_restante() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=() i list=""
    local commands="fetch check status verify probe mark-seen state config help"

    COMPREPLY=()
    case "$prev" in
    -c | --config | --state-dir | --password-file | --ca-file)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    -f | --format) list="fetchmail getmail mpop thunderbird restante" ;;
    --tls) list="implicit stls auto none" ;;
    --verify) list="full pin off" ;;
    --auth) list="auto user apop SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN EXTERNAL OAUTHBEARER XOAUTH2" ;;
    --keep) list="all none 14d" ;;
    --deliver) list="maildir: mbox: lmtp: command:" ;;
    esac
    if [[ -z $list ]]; then
        for ((i = 1; i < COMP_CWORD; i++)); do
            case "${COMP_WORDS[i]}" in
            -c | --config | --state-dir | -f | --format | --tls | --verify | --auth | --keep | --deliver | -u | --user | \
                --password-command | --password-file | --ca-file | --pin) ((i++)) ;;
            -*) ;;
            *) words+=("${COMP_WORDS[i]}") ;;
            esac
        done
        if [[ $cur == -* ]]; then
            list="$(_restante_options "${words[*]:0:2}") --config --state-dir --help --version"
        elif [[ ${#words[@]} -eq 0 ]]; then
            list="$commands $(_restante_accounts)"
        elif [[ ${words[0]} == help && ${#words[@]} -eq 1 ]]; then
            list="$commands"
        elif [[ ${words[0]} == state && ${#words[@]} -eq 1 ]]; then
            list="show export import forget salvage"
        elif [[ ${words[0]} == config && ${#words[@]} -eq 1 ]]; then
            list="check show example describe"
        elif [[ "${words[*]:0:2}" == "config check" || ("${words[*]:0:2}" == "state import" && ${#words[@]} -ge 3) ]]; then
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return
        elif [[ ${words[0]} != config && ${words[0]} != help ]]; then
            list="$(_restante_accounts)"
        fi
    fi
    mapfile -t COMPREPLY < <(compgen -W "$list" -- "$cur")
}

complete -F _restante restante
