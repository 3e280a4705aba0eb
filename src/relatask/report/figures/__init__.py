"""The report's figures: matplotlib drawings turned into SVG that follows the page's colours and fonts."""
