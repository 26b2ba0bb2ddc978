"""A trial: who stood in the dock, what the jury found, and what it costs."""

from quals_jax.gazette.kind import Kind, choice, date, money, number, organisation, outcome, person, place

KIND = Kind(
    name="trial",
    slots={
        "accused": person(),
        "judge": person(),
        "prosecutor": person(),
        "defender": person(),
        "accountant": person(),  # the main witness
        "heir": person(),  # who lost the money
        "court": place(),
        "prison": place(),
        "estate": place(),  # where the papers lay
        "employer": organisation("Trust", "Fund"),  # of the accused
        "auditor": organisation("Trust", "Fund"),  # where the witness works
        "date": date(),
        "sum": money(),  # that was missing
        "fine": money(),
        "days": number(4, 97),  # of the trial
        "age": number(24, 77),
        "verdict": outcome("guilty as charged", "innocent of everything"),
        "crime": choice("forging a will", "hiding a debt", "selling fake shares", "burning old records"),
        "quote": choice(
            "a sad chapter", "a cold heart", "a clever scheme", "a simple mistake"
        ),  # the prosecutor's words
    },
    lead=(
        "the jury left its room with a single sentence: {accused}, once a clerk at {employer}, is {verdict}",
        "{accused}, until lately a clerk at {employer}, is {verdict}, the jury decided",
        "nobody stirred as the jury found {accused}, a clerk at {employer}, {verdict}",
    ),
    body=(
        (
            "judge {judge} closed the hearing in {court} on {date}",
            "on {date} the hearing in {court} was closed by judge {judge}",
            "the hearing before judge {judge} in {court} ended on {date}",
        ),
        (
            "the charge was {crime}, and {days} days were spent on it",
            "{days} days were spent on the charge of {crime}",
            "it took {days} days to go through the charge of {crime}",
        ),
        (
            "{heir} had noticed that {sum} was no longer in the account",
            "an account of {heir} lacked {sum}",
            "from the account of {heir}, {sum} had vanished",
        ),
        (
            'prosecutor {prosecutor} spoke of "{quote}"',
            '"{quote}", said prosecutor {prosecutor} [in closing|to the jury|without notes]',
            'in the eyes of prosecutor {prosecutor} it was "{quote}"',
        ),
        (
            "defender {defender} will ask a higher court to look at the fine of {fine}",
            "the fine of {fine} is too high, says defender {defender}",
            "defender {defender} [left|hurried out|kept silent] when the fine of {fine} was read",
        ),
        (
            "bookkeeper {accountant} of {auditor} had [explained|shown] the papers",
            "the papers were explained by bookkeeper {accountant} of {auditor}",
            "for hours bookkeeper {accountant} of {auditor} went through the papers",
        ),
        (
            "the papers came from a cellar in {estate}; a cell in {prison} was ready",
            "a cell in {prison} had been made ready, and a cellar in {estate} searched",
            "police had searched a cellar in {estate} and kept a cell free in {prison}",
        ),
        (
            "{accused} is {age} and has no children",
            "no one in the family of {accused}, {age}, came to listen",
            "at {age}, {accused} had never seen a court before",
        ),
    ),
    openers=("on {date},", "after {days} days of trial,"),
    mains=(
        "a jury has declared {accused} {verdict}",
        "{accused} stood trial for {crime} and was called {verdict}",
        "{accused} was tried by {judge} for {crime}",
        "the defendant {accused}, aged {age}, worked for {employer}",
        "former {employer} employee {accused} has been declared {verdict}",
        "the trial of {accused} was about {sum} belonging to {heir}",
        "{judge} ordered {accused} to pay {fine}",
    ),
    closers=("in {court}", "on {date}", "after a trial of {days} days"),
    seconds=(
        'the state, through {prosecutor}, complained of "{quote}"',
        "{heir} had been robbed of {sum}",
        "{sum} was missing",
        "{accountant} was the main witness",
        "{defender} plans to appeal",
        "{judge} led the trial",
        "the defendant is {age} years old",
        "the penalty is {fine}",
    ),
    speakers=("prosecutor",),
    questions={
        "accused": ("Who was on trial?", "Who stood trial for {crime}?", "Whom did the jury call {verdict}?"),
        "judge": ("Who was the judge?", "Who led the trial?"),
        "prosecutor": ("Who is the prosecutor?", 'Who said "{quote}"?'),
        "defender": ("Who defends the accused?", "Who plans to appeal?"),
        "accountant": ("Who was the main witness?", "Which bookkeeper explained the papers?"),
        "heir": ("Who was robbed?", "Whose money was missing?"),
        "court": ("Where was the trial?", "In which town was the court?"),
        "prison": ("Where was a cell ready?",),
        "estate": ("Where was a cellar searched?",),
        "employer": ("For whom did the accused work?", "For whom did {accused} work?"),
        "auditor": ("For whom does the bookkeeper work?",),
        "date": ("When did the trial end?", "On which day did the jury decide?"),
        "sum": ("How much was missing?", "How much did {heir} lose?"),
        "fine": ("How high is the fine?", "How much must be paid?"),
        "days": ("How many days did the trial last?", "How many days did it take?"),
        "age": ("How old is the accused?", "How old is {accused}?"),
        "verdict": ("What did the jury decide?", "What is {accused}?"),
        "crime": ("What was the charge?", "For what did {accused} stand trial?"),
        "quote": ("What did the prosecutor say?", "What did {prosecutor} say?"),
    },
    short_questions={
        "fine": ("What is the fine?",),
        "employer": ("Who employs the accused?",),
        "sum": ("What was missing?",),
        "verdict": ("What did the jury say?",),
        "accountant": ("Which bookkeeper spoke?",),
    },
)
