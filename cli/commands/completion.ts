/** `edge-fleet completion`: the script by which a shell completes commands, options, regions, devices and rings. */
import { Argument, type Command } from "commander";

const SCRIPTS = {
  bash: `# Completion of edge-fleet for bash; in ~/.bashrc: eval "$(edge-fleet completion bash)"
_edge_fleet() {
  local IFS=$'\\n'
  COMPREPLY=($(edge-fleet complete -- "\${COMP_WORDS[@]:0:COMP_CWORD+1}" 2>/dev/null))
}
complete -o default -F _edge_fleet edge-fleet
`,
  zsh: `# Completion of edge-fleet for zsh; in ~/.zshrc, after compinit: eval "$(edge-fleet completion zsh)"
_edge_fleet() {
  local -a found
  found=("\${(@f)$(edge-fleet complete -- "\${(@)words[1,CURRENT]}" 2>/dev/null)}")
  if [[ -n $found[1] ]]; then compadd -a found; else _files; fi
}
compdef _edge_fleet edge-fleet
`,
  fish: `# Completion of edge-fleet for fish: edge-fleet completion fish >~/.config/fish/completions/edge-fleet.fish
function __edge_fleet
    set -l found (edge-fleet complete -- (commandline -opc) (commandline -ct) 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c edge-fleet -f -a '(__edge_fleet)'
`,
} as const;

/** Registers the command. */
export function registerCompletion(program: Command): void {
  program
    .command("completion")
    .description("print the script by which a shell completes commands, options, regions, devices and rings")
    .addArgument(new Argument("<shell>", "which shell").choices(Object.keys(SCRIPTS)))
    .action((shell: keyof typeof SCRIPTS) => {
      process.stdout.write(SCRIPTS[shell]);
    });
}
