//! `completions/sluice.bash`.

use std::fmt::Write as _;

use super::super::flag::Hint;
use super::super::flags;
use super::{HOSTS, offers, origin};

/// Everything but the two lists that the options fill in.
const SCRIPT: &str = r#"
_sluice() {
    # Bash cuts words at these characters; what belongs together is put together again.
    local cur=${COMP_WORDS[COMP_CWORD]} at=$COMP_CWORD breaks=${COMP_WORDBREAKS//[^=:@]/}
    while ((at > 1)) && [[ ${COMP_WORDS[at]} == [=:@]* || ${COMP_WORDS[at - 1]} == [=:@]* ]]; do
        ((at -= 1))
        cur=${COMP_WORDS[at]}$cur
    done
    local option=${COMP_WORDS[at - 1]} value=$cur user='' hosts
    case $cur in
    --*=*) option=${cur%%=*}= value=${cur#*=} ;;
    esac
    # The last letter of -avT decides about the next word.
    [[ $option == -[!-]* ]] && option=-${option: -1}
    COMPREPLY=()

    case $option in
@VALUES@
    *)
        if [[ $cur == --no-* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "@NEGATIVE@" -- "$cur")
        elif [[ $cur == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "@OPTIONS@" -- "$cur")
            [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
        elif [[ $cur != */* && $cur != *:* ]]; then
            # An operand. Where no host fits, bash completes files by itself.
            [[ $cur == *@* && $breaks != *@* ]] && user=${cur%%@*}@
            # Where bash cuts there, it leaves the @ with the word that it replaces.
            [[ $2 == @* ]] && user=@
            mapfile -t hosts < <(compgen -P "$user" -W "$(_sluice_hosts)" -S : -- "${cur#*@}")
            if ((${#hosts[@]})); then
                [[ $cur == *@* ]] || mapfile -t COMPREPLY < <(compgen -f -- "$cur")
                # Readline would quote the colon of a host for the sake of files: only if there are any.
                ((${#COMPREPLY[@]})) && compopt -o filenames 2>/dev/null
                COMPREPLY+=("${hosts[@]}")
                compopt -o nospace 2>/dev/null
            fi
        elif [[ $cur == *:* && ${cur%%:*} != */* ]]; then
            _sluice_remote "$1"
        fi
        return
        ;;
    esac
    # Where bash does not cut at =, the option is a part of the word.
    [[ $cur == --*=* && $breaks != *=* ]] && COMPREPLY=("${COMPREPLY[@]/#/$option}")
}

# An operand on another machine: sluice asks there, for a moment and nobody here.
_sluice_remote() {
    local -a words=()
    local word glue=
    for word in "${COMP_WORDS[@]:1:at-1}"; do
        if [[ -n $glue || ($word == [=:@]* && ${#words[@]} -gt 0) ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
        glue=
        [[ $word == [=:@] || $word == :: ]] && glue=1
    done
    mapfile -t COMPREPLY < <("$1" --complete "${words[@]}" "${cur//\\/}" 2>/dev/null)
    for at in "${!COMPREPLY[@]}"; do
        printf -v 'COMPREPLY[at]' %q "${COMPREPLY[at]}"
    done
    # Where bash cuts at colons, what stands before the last one stays.
    [[ $breaks == *:* ]] && COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*:}"}"}")
    compopt +o default 2>/dev/null
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == */ ]] && compopt -o nospace 2>/dev/null
}

# Words with commas between them: those typed stay, the last one is completed.
_sluice_list() {
    local done=
    [[ $1 == *,* ]] && done=${1%,*},
    mapfile -t COMPREPLY < <(compgen -P "$done" -W "$2" -- "${1##*,}")
    compopt -o nospace 2>/dev/null
}

complete -o default -F _sluice sluice
"#;

/// The script.
#[must_use]
pub fn script() -> String {
    let (mut options, mut negative) = (Vec::new(), Vec::new());
    let mut values: Vec<(String, Vec<String>)> = Vec::new();
    for offer in flags::all().flat_map(offers) {
        let long = offer.long.as_deref();
        match (long, offer.value) {
            (Some(long), _) if long.starts_with("no-") => negative.push(format!("--{long}")),
            (Some(long), Some((_, _, false))) => options.push(format!("--{long}=")),
            (Some(long), Some((_, _, true))) => options.extend([format!("--{long}"), format!("--{long}=")]),
            (Some(long), None) => options.push(format!("--{long}")),
            (None, _) => options.extend(offer.short.map(|c| format!("-{c}"))),
        }
        let Some((_, hint, optional)) = offer.value else { continue };
        // An optional value follows = only; another may be the next word.
        let mut names: Vec<String> = long.iter().map(|long| format!("--{long}=")).collect();
        if !optional {
            names.extend(long.iter().map(|long| format!("--{long}")));
            names.extend(offer.short.map(|c| format!("-{c}")));
        }
        let action = action(hint);
        match values.iter_mut().find(|(known, _)| *known == action) {
            Some((_, others)) => others.extend(names),
            None => values.push((action, names)),
        }
    }
    let mut cases = String::new();
    for (action, names) in values {
        // Writing to a String cannot fail.
        let _infallible = writeln!(cases, "    {})\n        {action}\n        ;;", names.join(" | "));
    }
    SCRIPT
        .replace("@VALUES@", cases.trim_end())
        .replace("@NEGATIVE@", &negative.join(" "))
        .replace("@OPTIONS@", &options.join(" "))
        .replacen('\n', &format!("{}\n{HOSTS}\n", origin("complete-bash")), 1)
}

/// What completes a value.
fn action(hint: Hint) -> String {
    match hint {
        Hint::Any => "compopt +o default 2>/dev/null".to_owned(),
        Hint::File => ": # bash does".to_owned(),
        Hint::Dir => "compopt +o default -o dirnames 2>/dev/null".to_owned(),
        Hint::OneOf(words) => action_of_words(&words.join(" ")),
        Hint::BeginsWith(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("{word}_")).collect();
            let offered = action_of_words(&words.join(" "));
            format!("{offered}\n        compopt +o default -o nospace 2>/dev/null")
        }
        Hint::SomeOf(words) => format!("_sluice_list \"$value\" \"{}\"", words().join(" ")),
    }
}

fn action_of_words(words: &str) -> String {
    format!("mapfile -t COMPREPLY < <(compgen -W \"{words}\" -- \"$value\")")
}
