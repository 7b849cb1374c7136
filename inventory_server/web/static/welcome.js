// Sets a password by the link that came behind "#", which no server and no log has seen.
const form = document.getElementById("welcome");
const failed = document.getElementById("failed");

function say(message) {
  failed.querySelector("b").textContent = message;
  failed.hidden = false;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const link = location.hash.slice(1);
  const password = document.getElementById("password").value;
  if (!link) return say(form.dataset.nolink);
  if (password !== document.getElementById("again").value) return say(form.dataset.wrong);
  try {
    const answer = await fetch("/api/v1/link", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ link, password }),
    });
    if (answer.ok) location.assign("/sign-in");
    else say((await answer.json()).detail);
  } catch (error) {
    say(String(error));
  }
});
