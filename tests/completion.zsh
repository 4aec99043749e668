# $1: the completion script; $2: a scratch directory; then lines. Prints "LINE" and what each offers.
zmodload zsh/zpty
script=$1 scratch=$2
shift 2
cat > $scratch/inner.zsh <<'INNER'
autoload -Uz compinit
compinit -u -D
source $SCRIPT
PROMPT= RPROMPT=
unsetopt zle_bracketed_paste 2>/dev/null
compadd() {
    if [[ ${@[1,(i)(-|--)]} != *-[OAD]\ * ]]; then
        local -a offered
        builtin compadd -A offered "$@"
        print -rl -- "${offered[@]}" >> $SCRATCH/out
    fi
    builtin compadd "$@"
}
_finish() { BUFFER=; print -r -- done >> $SCRATCH/done; zle -I }
zle -N _finish
bindkey '^I' complete-word '^X^F' _finish
: > $SCRATCH/ready
INNER
export SCRIPT=$script SCRATCH=$scratch
zpty -b pty zsh -f -i
zpty -w pty "source $scratch/inner.zsh"
wait_for() {
    local tries=0 ignored
    until [[ -e $1 ]]; do
        zpty -r -t pty ignored
        (( ++tries > 600 )) && { print "TIMEOUT $1"; exit 1 }
        sleep 0.05
    done
}
wait_for $scratch/ready
for line; do
    rm -f $scratch/out $scratch/done
    zpty -n -w pty "$line"$'\t\C-x\C-f'
    wait_for $scratch/done
    print -r -- "[$line] $(sort -u $scratch/out 2>/dev/null | grep . | tr '\n' ' ')"
done
zpty -d pty
