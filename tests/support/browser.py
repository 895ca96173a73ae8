"""A headless Chromium, used as a person does: fields are found by their labels, and all by what can be seen."""

import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from PIL import Image
from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

PATIENCE = 60
WIDTH, HEIGHT = 1400, 900
COLOURS = 256  # of a picture
FIELD = "//*[contains(concat(' ', @class, ' '), ' schema-form-property ')][.//*[@class='schema-form-property__label']"
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # it needs privileges that a container has not
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=en-GB",
    f"--window-size={WIDTH},{HEIGHT}",
)

T = TypeVar("T")


def find_browser() -> tuple[str, str] | None:
    """Chromium and its driver, if both are installed."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Browser:
    """One window; every look waits until there is something to see."""

    def __init__(self, pictures: Path | None = None) -> None:
        browser, driver = find_browser()
        options = ChromeOptions()
        options.binary_location = browser
        for option in OPTIONS:
            options.add_argument(option)
        self.driver = Chrome(options, ChromeService(driver))
        self.resize(HEIGHT)
        self.pictures = pictures

    def close(self) -> None:
        self.driver.quit()

    def resize(self, height: int) -> None:
        """Make the page, without the window's frame, WIDTH x height."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": WIDTH, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )

    def open(self, url: str) -> None:
        self.driver.get(url)

    def wait_for(self, look: Callable[[], T], seconds: float = PATIENCE) -> T:
        """Look until there is something; pages that are drawn anew in between are looked at again."""
        waiting = WebDriverWait(self.driver, seconds, ignored_exceptions=[StaleElementReferenceException])
        try:
            return waiting.until(lambda _: look())
        except TimeoutException:
            self.picture("failure")
            raise

    def all(self, xpath: str) -> list[WebElement]:
        """The visible elements that there are now."""
        return [element for element in self.driver.find_elements(By.XPATH, xpath) if element.is_displayed()]

    def see(self, xpath: str, seconds: float = PATIENCE) -> WebElement:
        """The first visible element."""
        return self.wait_for(lambda: next(iter(self.all(xpath)), None), seconds)

    def read(self, text: str, seconds: float = PATIENCE) -> WebElement:
        """The innermost visible element that contains a text."""
        contains = f'contains(normalize-space(.), "{text}")'
        return self.see(f"//*[{contains}][not(*[{contains}])]", seconds)

    def click(self, xpath: str) -> None:
        def clicked() -> bool:
            for element in self.all(xpath)[:1]:
                self.show(element)
                element.click()
                return True
            return False

        self.wait_for(clicked)

    def press(self, button: str) -> None:
        self.click(f"//button[normalize-space(.)='{button}']")

    def field(self, label: str) -> WebElement:
        """The field of a Prefect form."""
        return self.see(f"{FIELD}[normalize-space(.)='{label}' or normalize-space(.)='{label} (Optional)']]")

    def choices(self, label: str) -> list[str]:
        """What a field offers."""
        return [option.get_attribute("value") for option in self._select(label).options]

    def choose(self, label: str, value: str) -> None:
        self._select(label).select_by_value(value)

    def enter(self, label: str, value: str) -> None:
        control = self.field(label).find_element(By.CSS_SELECTOR, "input, textarea")
        control.send_keys(Keys.CONTROL, "a")
        control.send_keys(value, Keys.TAB)

    def value(self, label: str) -> str:
        """What a field holds."""
        return self.field(label).find_element(By.CSS_SELECTOR, "select, input, textarea").get_attribute("value")

    def text(self) -> str:
        """All that is written on the page."""
        return self.driver.find_element(By.TAG_NAME, "body").text

    def show(self, element: WebElement) -> None:
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)

    @contextmanager
    def new_window(self) -> Iterator[None]:
        """Go on in the window that a link opened, and close it."""
        first = self.driver.current_window_handle
        self.wait_for(lambda: len(self.driver.window_handles) > 1)
        (opened,) = set(self.driver.window_handles) - {first}
        self.driver.switch_to.window(opened)
        try:
            yield
        finally:
            self.driver.close()
            self.driver.switch_to.window(first)

    def images(self) -> list[WebElement]:
        """The images that are really drawn."""
        return [image for image in self.all("//img") if int(image.get_property("naturalWidth")) > 0]

    def picture(self, name: str) -> None:
        """Keep what is seen, if pictures are wanted."""
        if self.pictures:
            with Image.open(io.BytesIO(self.driver.get_screenshot_as_png())) as image:
                palette = image.convert("RGB").quantize(COLOURS, Image.Quantize.FASTOCTREE)
                palette.save(self.pictures / f"{name}.png", optimize=True)

    def _select(self, label: str) -> Select:
        return Select(self.field(label).find_element(By.TAG_NAME, "select"))
