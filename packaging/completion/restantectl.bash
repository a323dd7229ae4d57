# bash completion for restantectl

_restantectl_options() {
    case "$1" in
    "config check") echo "--quiet" ;;
    "config show") echo "--changed --defaults --json" ;;
    "config describe") echo "--man --sample" ;;
    "user add")
        echo "--password-stdin --generate --scheme --with-sha1 --uid --gid --home --mail --expire" \
            "--require-tls"
        ;;
    "user passwd") echo "--password-stdin --generate --scheme --with-sha1" ;;
    "user delete") echo "--yes" ;;
    "user list" | "maildrop list") echo "--json" ;;
    deliver*) echo "--from --delivered-to --strip-from --defer" ;;
    "maildrop show") echo "--crlf" ;;
    esac
}

_restantectl_words() {
    case "$1" in
    "") echo "config user deliver maildrop uidl" ;;
    config) echo "check show describe" ;;
    user) echo "add passwd disable enable delete list" ;;
    maildrop) echo "list show" ;;
    uidl) echo "import" ;;
    esac
}

_restantectl_users() {
    command restantectl user list --json 2>/dev/null | sed -n 's/^ {"user": "\([^"]*\)".*/\1/p'
}

_restantectl() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=() i

    case "$prev" in
    -c | --config | --home | --mail)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    -s | --scheme)
        mapfile -t COMPREPLY < <(compgen -W "SCRAM-SHA-256 SCRAM-SHA-1 YESCRYPT BLF-CRYPT \
SHA512-CRYPT SHA256-CRYPT PLAIN" -- "$cur")
        return
        ;;
    esac
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "${COMP_WORDS[i]}" in
        -c | --config) ((i++)) ;;
        -*) ;;
        *) words+=("${COMP_WORDS[i]}") ;;
        esac
    done
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W \
            "$(_restantectl_options "${words[*]:0:2}") --config --help --version" -- "$cur")
    elif [[ ${#words[@]} -lt 2 && ${words[0]} != deliver ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_restantectl_words "${words[0]}")" -- "$cur")
    elif [[ "${words[*]:0:2}" == "config check" || (${words[0]} == uidl && ${#words[@]} -ge 3) ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    elif [[ ${words[0]} == user || ${words[0]} == maildrop || ${words[0]} == deliver || ${words[0]} == uidl ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_restantectl_users)" -- "$cur")
    fi
}

complete -F _restantectl restantectl
