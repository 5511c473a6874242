# What people read, made from results, and the check, which comes first. All are quick, and run where the pipeline runs.

REPORTS = f"reports/{PROFILE}"
COLLECTED = "scores.csv scores.sources.json sequences.csv curves.csv attributes.csv"
# kind of view → its rule, which one, and its files: what their names begin with, and how they end
KINDS = {
    "check": ("check_experiment", "", f"results/{PROFILE}/check", ".json"),
    "collect": ("collect_scores", "", f"results/{PROFILE}/", COLLECTED),
    "sweeps": ("collect_sweeps", "", f"results/{PROFILE}/sweeps", ".csv .sources.json"),
    "table": ("make_table", "{table}", f"{REPORTS}/tables/table", ".md .csv .tex .sources.json"),
    "figure": ("make_figure", "{figure}", f"{REPORTS}/figures/", ".pdf .svg .png .csv .md .json"),
    "study": ("make_study", "", f"{REPORTS}/study", ".md .json"),
    "page": ("make_page", "", f"{REPORTS}/index", ".html .sources.json"),
}
MORE = {"sweeps": CHECK, "page": files_of("figure", ".json")}  # a sweep is a target of its own

for kind, (title, which, begins, ends) in KINDS.items():
    words = "config check --stamp" if kind == "check" else f"report {kind} {which}"

    rule:
        name:
            title
        input:
            partial(shown, kind),
            MORE.get(kind, []),
        output:
            [f"{begins}{which}{end}" for end in ends.split()],
        log:
            Path("results", PROFILE, "logs", title, which).with_suffix(".log"),
        priority: 1000 * (kind == "check")  # before anything else is begun
        localrule: True
        params:
            command=f"siamla {words} --profile {PROFILE}",
        shell:
            "{params.command} > {log:q} 2>&1"
