# An editor, and twenty pages below the home page.
from django.contrib.auth import get_user_model
from home.models import HomePage

get_user_model().objects.create_superuser("ada", "ada@example.org", "secret-1")
home = HomePage.objects.get(depth=2)  # its id is 3: journeys/edit.hurl knows it
for number in range(20): home.add_child(instance=HomePage(title=f"Street {number}", slug=f"street-{number}"))

