# What people read, made from results, and the check of the machine, which comes first. All are quick, and run where
# the pipeline itself runs.

REPORTS = f"reports/{PROFILE}"
COLLECTED = "scores.csv scores.sources.json sequences.csv curves.csv attributes.csv"
# command of a view → its rule, which one, and its files: what their names begin with, and how they end
COMMANDS = {
    "config check --stamp": ("check_experiment", "", f"results/{PROFILE}/check", ".json"),
    "report collect": ("collect_scores", "", f"results/{PROFILE}/", COLLECTED),
    "report sweeps": ("collect_sweeps", "", f"results/{PROFILE}/sweeps", ".csv .sources.json"),
    "report table": (
        "make_table",
        "{table}",
        f"{REPORTS}/tables/table",
        ".md .csv .tex .sources.json",
    ),
    "report figure": (
        "make_figure",
        "{figure}",
        f"{REPORTS}/figures/",
        ".pdf .svg .png .csv .md .json",
    ),
    "report study": ("make_study", "", f"{REPORTS}/study", ".md .json"),
    "report page": ("make_page", "", f"{REPORTS}/index", ".html .sources.json"),
}
# a sweep is a target of its own
MORE = {"report sweeps": CHECK, "report page": files_of("figure", ".json")}

for words, (title, which, begins, ends) in COMMANDS.items():

    rule:
        name:
            title
        input:
            partial(shown, words.split()[1]),
            MORE.get(words, []),
        output:
            [f"{begins}{which}{end}" for end in ends.split()],
        log:
            Path("results", PROFILE, "logs", title, which).with_suffix(".log"),
        priority: 1000 * (title == "check_experiment")  # before anything else is begun
        localrule: True
        params:
            command=f"siamla {words} {which} --profile {PROFILE}",
        shell:
            "{params.command} > {log:q} 2>&1"
