"""A robbery: what was taken from whom, who is held for it, and who saw it."""

from quals_jax.gazette.kind import Kind, choice, date, money, number, organisation, outcome, person, place

KIND = Kind(
    name="robbery",
    slots={
        "suspect": person(),
        "victim": person(),  # who was held up
        "witness": person(),
        "detective": person(),
        "lawyer": person(),  # the suspect's
        "town": place(),
        "hideout": place(),  # where the suspect was found
        "shop": organisation("Jewellers", "Bank"),
        "insurer": organisation("Jewellers", "Bank"),  # who employs the guard who helped
        "date": date(),
        "loot": money(),
        "reward": money(),
        "age": number(19, 74),  # the suspect's
        "guests": number(12, 95),  # customers inside
        "plea": outcome("denies the charge", "admits the charge"),
        "weapon": choice("a kitchen knife", "a toy pistol", "an iron bar", "a heavy hammer"),
        "quote": choice("a brazen act", "a bitter loss", "a lucky find", "a careful plan"),  # the detective's words
    },
    lead=(
        "a robber with {weapon} forced {victim}, manager of {shop}, to open the safe and fled; {suspect} is now in a cell",
        "{suspect} is accused of walking into {shop} with {weapon} and threatening manager {victim}",
        "manager {victim} of {shop} looked at {weapon} and handed over the keys; officers have since caught {suspect}",
    ),
    body=(
        (
            "it happened on {date} in the centre of {town}",
            "the centre of {town} was the scene on {date}",
            "{town} saw the raid on {date}, in its very centre",
        ),
        (
            "the bag that was carried off held {loot}, officers [said|estimate]",
            "officers put the contents of the bag at {loot}",
            "what left the building in a bag came to {loot}",
        ),
        (
            "for a tip, the owners had offered {reward}",
            "a poster had promised {reward} for a tip",
            "{reward} had been promised to anyone with a tip",
        ),
        (
            "{suspect}, {age}, was found asleep in {hideout}",
            "officers traced {suspect}, {age}, to a barn in {hideout}",
            "the trail led to {hideout}, where {suspect}, {age}, was hiding",
        ),
        (
            "passer-by {witness} remembered the number of the car",
            "the car was described by passer-by {witness}",
            "passer-by {witness} wrote down what the car looked like",
        ),
        (
            'detective {detective} called the raid "{quote}"',
            '"{quote}" was the verdict of detective {detective}',
            'detective {detective} spoke to the press of "{quote}"',
        ),
        (
            "according to lawyer {lawyer}, the accused {plea}",
            "the accused {plea}, lawyer {lawyer} [said|explained]",
            "lawyer {lawyer} told the press that the accused {plea}",
        ),
        (
            "{guests} customers were inside, and a guard of {insurer} led them out",
            "a guard of {insurer} brought {guests} customers to safety",
            "all {guests} customers got out with the help of a guard of {insurer}",
        ),
    ),
    openers=("on {date},", "in {town},"),
    mains=(
        "{suspect} has been arrested for robbing {shop}",
        "police suspect {suspect} of the robbery in which {victim} was threatened",
        "thieves stole {loot} from {shop}",
        "the person held for the robbery, {suspect}, is {age} years old",
        "{victim} was threatened with {weapon} during a robbery",
        "robbery suspect {suspect} {plea}",
        "{suspect} was seized in {hideout} after a robbery",
    ),
    closers=("in {town}", "on {date}", "in front of {guests} people"),
    seconds=(
        'investigator {detective} described "{quote}"',
        "{witness} gave police the decisive hint",
        "{loot} is missing",
        "the robber used {weapon}",
        "{lawyer} defends the suspect",
        "the suspect {plea}",
        "{guests} people were in the building",
    ),
    speakers=("detective",),
    questions={
        "suspect": (
            "Who was arrested for the robbery?",
            "Who is suspected of the robbery?",
            "Who was seized in {hideout}?",
        ),
        "victim": ("Who was threatened?", "Which manager was robbed?", "Who was threatened with {weapon}?"),
        "witness": ("Who saw the car?", "Who gave police a hint?"),
        "detective": ("Which detective spoke?", 'Who said "{quote}"?'),
        "lawyer": ("Who is the lawyer of the suspect?", "Who defends the suspect?"),
        "town": ("Where did the robbery happen?", "Which town saw the robbery?"),
        "hideout": ("Where was the suspect found?", "Where was {suspect} seized?"),
        "shop": ("What was robbed?", "Where did the robber strike?"),
        "insurer": ("Who employs the guard?",),
        "date": ("When did the robbery happen?", "On which day was the robbery?"),
        "loot": ("How much was stolen?", "How much is missing?"),
        "reward": ("How much was promised for a tip?",),
        "age": ("How old is the suspect?", "How old is {suspect}?"),
        "guests": ("How many people were in the building?", "How many customers were inside?"),
        "plea": ("What does the suspect do?", "How does the suspect plead?"),
        "weapon": ("What did the robber use?", "With what was {victim} threatened?"),
        "quote": ("What did the detective say?", "What did {detective} say?"),
    },
    short_questions={
        "suspect": ("Who was arrested?", "Who was seized?"),
    },
)
