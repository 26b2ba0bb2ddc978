"""A storm: where it struck, what it broke, who is missing, and who helps."""

from quals_jax.gazette.kind import Kind, choice, date, money, number, organisation, outcome, person, place

KIND = Kind(
    name="storm",
    slots={
        "coast": place(),  # where it came ashore
        "shelter": place(),  # where people were taken
        "port": place(),  # where it was weakest
        "missing": person(),  # a fisherman
        "chief": person(),  # of the fire brigade
        "minister": person(),
        "forecaster": person(),
        "farmer": person(),
        "utility": organisation("Power", "Grid"),
        "charity": organisation("Power", "Grid"),  # the firm that sent generators
        "date": date(),
        "damage": money(),
        "aid": money(),
        "homes": number(21, 980),  # without electricity
        "wind": number(95, 240),  # kilometres an hour
        "schools": outcome("stay closed", "open again"),
        "ruin": choice("the old pier", "the north bridge", "the sea wall", "the fish market"),
        "quote": choice("a wall of water", "a night of fear", "a test of nerves"),  # the fire chief's words
    },
    lead=(
        "a storm with gusts of {wind} kilometres an hour came ashore at {coast} on {date}",
        "on {date}, gusts of {wind} kilometres an hour swept over {coast}",
        "{coast} was hit on {date} by a storm whose gusts reached {wind} kilometres an hour",
    ),
    body=(
        (
            "the water tore {ruin} to pieces",
            "nothing is left of {ruin}",
            "by morning {ruin} was gone",
        ),
        (
            "fisherman {missing} did not come home, and boats are searching",
            "boats are out looking for fisherman {missing}",
            "there is no trace of fisherman {missing} so far",
        ),
        (
            'fire chief {chief} spoke of "{quote}"',
            '"{quote}", said fire chief {chief}',
            'fire chief {chief} described "{quote}"',
        ),
        (
            "minister {minister} promised {aid} at once, while insurers count on losses of {damage}",
            "insurers count on losses of {damage}; minister {minister} promised {aid} at once",
            "against losses of {damage}, as insurers count them, minister {minister} set {aid} at once",
        ),
        (
            "{homes} households of {utility} sat in the dark until {charity} brought generators",
            "until {charity} brought generators, {homes} households of {utility} had no light",
            "{utility} left {homes} households without light, and {charity} sent generators",
        ),
        (
            "people [from the harbour|from low streets|with children] were driven to {shelter}",
            "buses carried people to {shelter}",
            "beds were put up in {shelter}",
        ),
        (
            "in {port}, by contrast, farmer {farmer} noticed hardly a breeze",
            "farmer {farmer} in {port} slept through it all",
            "hardly a leaf moved in {port}, farmer {farmer} reports",
        ),
        (
            "forecaster {forecaster} had warned in vain; schools {schools}",
            "schools {schools}, and forecaster {forecaster} warns of more rain",
            "while forecaster {forecaster} sees calmer air ahead, schools {schools}",
        ),
    ),
    openers=("on {date},", "in {coast},"),
    mains=(
        "a heavy storm destroyed {ruin} and cut off power for {homes} homes",
        "{missing} has been missing since a heavy storm",
        "the government gives {aid} to the victims of a storm",
        "heavy winds of {wind} kilometres an hour damaged {ruin}",
        "after a storm, classes are affected: schools {schools}",
        "politician {minister} has offered storm victims {aid}",
        "residents fled a storm and found refuge in {shelter}",
    ),
    closers=("in {coast}", "on {date}", "at a cost of {damage}"),
    seconds=(
        'rescue leader {chief} remembered "{quote}"',
        "rescuers are hoping to find {missing}",
        "electricity failed at {utility}",
        "the bill is put at {damage}",
        "the schools {schools}",
        "the evacuated are staying in {shelter}",
        "weather expert {forecaster} had seen it coming",
    ),
    speakers=("chief",),
    questions={
        "coast": ("Where did the storm strike?", "Which town was hit by the storm?"),
        "shelter": ("Where did people find refuge?", "Where were people taken?"),
        "port": ("Where was there hardly any wind?",),
        "missing": ("Who is missing?", "For whom are rescuers looking?"),
        "chief": ("Who leads the fire brigade?", 'Who said "{quote}"?', "Which rescue leader spoke?"),
        "minister": ("Who promised money?", "Which minister offered {aid}?"),
        "forecaster": ("Which forecaster is named?", "Who had seen the storm coming?"),
        "farmer": ("Which farmer is named?",),
        "utility": ("Where did electricity fail?", "Whose electricity failed?"),
        "charity": ("Who brought generators?",),
        "date": ("When did the storm strike?", "On which day was the storm?"),
        "damage": ("How high is the damage?", "What did the storm cost?"),
        "aid": ("How much aid was promised?", "How much does the government give?"),
        "homes": ("How many homes lost power?", "How many households had no light?"),
        "wind": ("How fast was the wind?", "How strong were the gusts?"),
        "schools": ("What about the schools?", "What do the schools do?"),
        "ruin": ("What did the storm destroy?", "What was damaged?"),
        "quote": ("What did the fire chief say?", "What did {chief} say?"),
    },
    short_questions={
        "aid": ("How much aid?", "How much was promised?"),
        "damage": ("How much damage?", "What is the damage?"),
        "quote": ("What did the chief say?",),
    },
)
