"""The word tables of the corpus: who, what and where. Used by stories.py and tasks.py.

The tables are small on purpose: with about a thousand different words almost every word is one token of the 2,048.
"""

GIRLS = ("Alice Anna Bella Clara Dora Ella Emma Flora Greta Hanna Ida Ines Julia Katie Lena Lily Lucy Maria Mia Molly Nina Nora "
         "Olga Paula Rosa Ruby Sara Sofia Tina Vera Wendy Zoe").split()
BOYS = ("Adam Albert Anton Ben Bruno Carl Daniel David Emil Erik Felix Fred George Henry Hugo Jack Jonas Karl Leo Lukas Martin Max "
        "Noah Oscar Otto Paul Peter Robin Simon Theo Tom Victor").split()
PRONOUNS = {"girl": ("she", "her", "her"), "boy": ("he", "him", "his")}

COLORS = "red blue green yellow white black brown golden silver".split()
SIZES = "small big little tiny young thin fat".split()
THINGS = ("ball kite boat hat book bell drum lamp cup basket shell ring blanket wagon map flute coat scarf puppet "
          "lantern mirror bottle clock whistle ladder rope box candle violin "
          "balloon brush bucket button comb cushion doll feather flag glove guitar hammer helmet jacket kettle marble mitten "
          "necklace pillow pencil plate pocket purse saddle sled spoon sweater teapot telescope trumpet vase wheel").split()
ANIMALS = ("fox cat dog rabbit bird swan duck goat horse mouse hedgehog squirrel lamb frog badger bear beaver crow deer donkey "
           "goose kitten parrot pig pony puppy raven sheep sparrow turtle wolf").split()
FOODS = "apples pears cherries carrots nuts plums berries beans tomatoes eggs grapes lemons melons mushrooms onions peaches potatoes turnips".split()
BAKES = {"cake": "flour", "pie": "butter", "bread": "salt", "soup": "pepper", "pudding": "milk", "pancakes": "sugar"}
WEATHERS = {"rain": "wet", "snow": "cold", "wind": "cold", "hail": "wet"}
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MOODS = "happy glad proud cheerful pleased merry content".split()
HELPERS = ["baker", "farmer", "teacher", "sailor", "miller", "gardener", "shepherd", "smith", "tailor", "fisherman",
           "butcher", "captain", "carpenter", "doctor", "hunter", "mayor", "painter", "postman", "potter", "weaver"]
TRAITS = ("kind brave quiet clever friendly shy funny curious careful cheeky dreamy gentle lively lazy loud polite proud restless "
          "stubborn thoughtful").split()
NUMBER_WORDS = "zero one two three four five six seven eight nine ten".split()

# A place: how one is there, and where a thing can lie hidden in it.
PLACES = {
    "the park": ("in the park", ["under the bench", "behind the fountain", "beside the swing"]),
    "the forest": ("in the forest", ["under a fallen tree", "behind the tall ferns", "beside the stream"]),
    "the beach": ("at the beach", ["between two rocks", "behind the dunes", "under the old pier"]),
    "the farm": ("at the farm", ["behind the barn", "in the hay", "beside the well"]),
    "the garden": ("in the garden", ["under the roses", "behind the shed", "in the tall grass"]),
    "the market": ("at the market", ["under a table", "behind the fish stall", "beside the fruit cart"]),
    "the school": ("at the school", ["under the desk", "behind the door", "on the high shelf"]),
    "the library": ("in the library", ["between two books", "behind the curtain", "under the stairs"]),
    "the lake": ("at the lake", ["in the reeds", "under the bridge", "beside the boat house"]),
    "the hill": ("on the hill", ["behind the windmill", "under the oak tree", "beside the stone wall"]),
    "the harbor": ("at the harbor", ["behind the barrels", "under a net", "beside the lighthouse"]),
    "the village": ("in the village", ["behind the church", "under the clock tower", "beside the pump"]),
    "the castle": ("in the castle", ["behind the throne", "under the carpet", "beside the gate"]),
    "the meadow": ("in the meadow", ["between the flowers", "under a bush", "beside the fence"]),
    "the station": ("at the station", ["under a seat", "behind the ticket office", "beside the platform"]),
    "the mountain": ("on the mountain", ["in a cave", "behind the waterfall", "beside the hut"]),
    "the river": ("at the river", ["under a root", "behind the mill wheel", "on the bank"]),
    "the museum": ("in the museum", ["behind a statue", "under the glass case", "beside the skeleton"]),
    "the circus": ("at the circus", ["behind the tent", "under the trapeze", "beside the cage"]),
    "the orchard": ("in the orchard", ["under the apple tree", "behind the hedge", "beside the beehive"]),
}

SKILLS = {
    "swim": ("swam across the water", "The water was deep"),
    "ride a horse": ("rode once around the field", "The horse was very tall"),
    "play the flute": ("played a whole song", "The notes were hard"),
    "skate": ("skated in a wide circle", "The ice was smooth"),
    "climb": ("climbed to the top", "The wall was steep"),
    "whistle": ("whistled a merry tune", "No sound came out"),
    "sail": ("sailed around the island", "The wind was strong"),
    "dance": ("danced without a mistake", "The steps were quick"),
    "juggle": ("juggled five plums at once", "Everything fell on the floor"),
    "knit": ("knitted a long stocking", "The wool was tangled"),
    "draw": ("drew a picture of the whole village", "Every line was crooked"),
    "row": ("rowed to the other shore", "The oars were heavy"),
}

BUILDS = {
    "boat": ("floated", "leak", "tar"), "kite": ("flew high", "tear", "paper"), "bird house": ("stood firm", "crack", "nails"),
    "tree house": ("stood firm", "crack", "rope"), "cart": ("rolled well", "broken wheel", "wood"),
    "raft": ("floated", "loose log", "rope"), "bridge": ("stood firm", "gap", "wood"), "windmill": ("turned", "broken wing", "cloth"), "fence": ("stood firm", "gap", "boards"), "stove": ("burned well", "crack", "clay"),
    "tent": ("stood firm", "tear", "thread"),
}

NATURE = ("tree stone river cloud moon star sun leaf seed bread milk salt sugar honey door window table chair road bridge tower wall "
          "acorn anchor arrow autumn barrel beach branch brick carpet cave chain cheese chimney circle coal copper corner cotton "
          "desert dragon dust earth evening feast field finger flame flower fog forest garden giant glass grass harvest heart "
          "island ivory jewel journey king knight lake letter lightning lion meadow metal morning mountain music needle night oak "
          "ocean paper pebble planet princess queen rainbow sand shadow shoulder silk smoke spider spring statue steam storm "
          "summer sword thunder tiger torch treasure tunnel valley velvet voice wheat winter wizard wool").split()
TASK_WORDS = THINGS + ANIMALS + COLORS + NATURE
