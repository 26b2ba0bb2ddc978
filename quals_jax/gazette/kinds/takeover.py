"""A takeover: one company buys another, somebody leaves, and jobs are at stake."""

from quals_jax.gazette.kind import Kind, choice, date, money, number, organisation, outcome, person, place

KIND = Kind(
    name="takeover",
    slots={
        "buyer": organisation("Group", "Holdings"),
        "target": organisation("Group", "Holdings"),
        "bidder": organisation("Group", "Holdings"),  # who had also bid
        "chief": person(),  # of the buyer
        "founder": person(),  # of the target
        "successor": person(),  # who will run the target
        "analyst": person(),
        "delegate": person(),  # of the workers
        "seat": place(),  # the target's
        "home": place(),  # the buyer's
        "date": date(),
        "price": money(),
        "savings": money(),
        "plants": number(2, 49),
        "age": number(33, 79),  # the founder's
        "jobs": outcome("will be cut", "will be kept", "will be moved"),
        "reason": choice("falling sales", "old machines", "rising wages", "lost patents"),
        "quote": choice("a perfect match", "a fair price", "a bold bet", "a long shot"),  # the analyst's words
    },
    lead=(
        "{buyer}, led by {chief}, is to swallow {target}, the firm that {founder} founded",
        "the firm that {founder} founded, {target}, will soon belong to {buyer} and its head {chief}",
        "{chief}, head of {buyer}, has signed a contract for {target}, the firm of founder {founder}",
    ),
    body=(
        (
            "the price agreed on {date} is {price}",
            "on {date} both sides settled on {price}",
            "papers signed on {date} put the price at {price}",
        ),
        (
            "{target} runs {plants} plants from its offices in {seat}",
            "from {seat}, {target} looks after {plants} plants",
            "the {plants} plants of {target} are managed in {seat}",
        ),
        (
            "its new owner sits in {home} and counts on savings of {savings}",
            "savings of {savings} are hoped for at the new owner's seat in {home}",
            "in {home}, where the new owner sits, they reckon with savings of {savings}",
        ),
        (
            "{founder}, {age}, [retires|steps aside|withdraws]; {successor} takes over the desk",
            "the desk of {founder}, who is {age}, goes to {successor}",
            "{successor} moves into the office of {founder}, who is {age}",
        ),
        (
            "{bidder} had [also bid|made an offer too], but came too late",
            "an offer by {bidder} was turned down",
            "the owners refused what {bidder} had offered",
        ),
        (
            'market watcher {analyst} called the deal "{quote}"',
            '"{quote}" is how market watcher {analyst} sees the deal',
            'to market watcher {analyst} the deal is "{quote}"',
        ),
        (
            "shop steward {delegate} was told that jobs {jobs}",
            "jobs {jobs}, shop steward {delegate} was told",
            "as shop steward {delegate} has learned, jobs {jobs}",
        ),
        (
            "{reason} had [hurt|weakened|troubled] the firm for years",
            "for years the firm had fought with {reason}",
            "behind the sale stand {reason}, as the books show",
        ),
    ),
    openers=("on {date},", "because of {reason},"),
    mains=(
        "{buyer} is taking over {target}",
        "{target} has been sold to {buyer}",
        "{buyer} pays {price} for {target}",
        "company founder {founder} is selling {target}",
        "company founder {founder} hands over to {successor}",
        "founder {founder}, {age}, leaves the company after its sale to {buyer}",
        "the takeover of {target} means that jobs {jobs}",
    ),
    closers=("for {price}", "on {date}", "after years of {reason}"),
    seconds=(
        'expert {analyst} speaks of "{quote}"',
        "{successor} will run the business",
        "the jobs of the workers {jobs}",
        "the company has {plants} factories",
        "{chief} leads the buyer",
        "the headquarters are in {seat}",
        "the costs should shrink by {savings}",
    ),
    speakers=("analyst",),
    questions={
        "buyer": ("Who is the buyer?", "Which company takes over {target}?", "Who bought the company?"),
        "target": ("Which company was sold?", "Which company does {buyer} take over?"),
        "bidder": ("Whose offer was turned down?",),
        "chief": ("Who leads the buyer?", "Who is the head of the buyer?"),
        "founder": ("Who founded the company?", "Which founder leaves?", "Who is selling {target}?"),
        "successor": ("Who will run the business?", "Who follows the founder?", "Who follows {founder}?"),
        "analyst": ("Which expert spoke about the deal?", 'Who said "{quote}"?'),
        "delegate": ("Which shop steward was told?",),
        "seat": ("Where are the headquarters of the company?", "Where are the offices of {target}?"),
        "home": ("Where does the new owner sit?",),
        "date": ("When was the contract signed?", "On which day was the deal made?"),
        "price": ("What is the price?", "How much does {buyer} pay?", "How much does the company cost?"),
        "savings": ("How much should be saved?", "By how much should the costs shrink?"),
        "plants": ("How many plants does the company have?", "How many factories are there?"),
        "age": ("How old is the founder?", "How old is {founder}?"),
        "jobs": ("What happens to the jobs?", "What about the jobs?"),
        "reason": ("Why was the company sold?", "What hurt the company?"),
        "quote": ("What did the expert say?", "What did {analyst} say?"),
    },
    short_questions={
        "analyst": ("Which expert spoke?",),
        "price": ("What is paid?",),
        "savings": ("What should be saved?",),
        "seat": ("Where are the headquarters?",),
    },
)
