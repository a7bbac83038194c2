// The map: usual intensity at the bottom, then the operator's layers, open alerts on top.

import { h, setAttribute, setText } from "../parts/dom.js";
import { countWords, placeWords, streamWords, tierWords } from "../parts/words.js";

const L = window.L;

const LABELS = 40;
const BEAT_LABEL_ZOOM = 12;
const STREET_LABEL_ZOOM = 15;
const LABEL_SPACE = { beats: [110, 40], streets: [90, 22] };
const CARD_WIDTH = 460;

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Panes from bottom to top; only the zones take clicks. */
const PANES = { usual: 300, layers: 320, labels: 340, zones: 400 };

export class AlertMap {
  /** `open(id)`: the user chose a zone or marker. */
  constructor(element, alerts, on) {
    this.alerts = alerts;
    this.on = on;
    this.element = element;
    this.map = L.map(element, { zoomControl: false, attributionControl: false, zoomSnap: 0.25, maxZoom: 19 });
    for (const [name, level] of Object.entries(PANES)) {
      this.map.createPane(name).classList.toggle("inert", name !== "zones");
      this.map.getPane(name).style.zIndex = level;
    }
    L.control.zoom({ position: "bottomleft" }).addTo(this.map);
    L.control.scale({ position: "bottomleft", imperial: false }).addTo(this.map);
    this.#wholeArea();
    this.#scale();
    this.zones = new Map();
    this.cells = new Map();
    this.usual = L.layerGroup().addTo(this.map);
    this.selectedCells = L.layerGroup().addTo(this.map);
    this.labels = L.layerGroup().addTo(this.map);
    this.layers = [];
    this.painted = [];
    this.usualOf = new Map();
    this.extent = L.latLngBounds([]);
    this.map.setView([0, 0], 2);
    this.isChosen = false;
    for (const event of ["pointerdown", "wheel", "keydown"]) element.addEventListener(event, () => { this.isChosen = true; }, { passive: true });
    this.map.on("moveend", () => this.#label());
    addEventListener("themechange", () => this.#paint());
  }

  tiles(url, attribution) {
    if (!url) return;
    L.tileLayer(url, { maxZoom: 19, className: "tiles" }).addTo(this.map);
    L.control.attribution({ prefix: false }).addAttribution(attribution).addTo(this.map);
  }

  /** The usual intensity of the locations, busier is darker, on a scale that a few busy ones do not flatten. */
  showUsual(area, collection) {
    const before = this.usualOf.get(area) ?? new Set();
    for (const shape of before) this.usual.removeLayer(shape);
    this.painted = this.painted.filter(([shape]) => !before.has(shape));
    const shapes = new Set();
    this.usualOf.set(area, shapes);
    const counts = collection.features.map(({ properties }) => properties.count).sort((a, b) => a - b);
    const high = counts[Math.floor(counts.length * 0.95)] || 1;
    const renderer = (this.usualRenderer ??= L.canvas({ pane: "usual" }));
    for (const feature of collection.features) {
      const opacity = 0.05 + 0.33 * Math.min(1, Math.sqrt(feature.properties.count / high));
      if (feature.geometry.type === "Polygon") {
        const corners = feature.geometry.coordinates[0].map(([longitude, latitude]) => [latitude, longitude]);
        const cell = L.polygon(corners, { renderer, stroke: false, fillOpacity: opacity, interactive: false });
        this.painted.push([cell, () => ({ fillColor: style("--usual") })]);
        this.cells.set(feature.properties.id, corners);
        this.usual.addLayer(cell);
        shapes.add(cell);
        this.extent.extend(cell.getBounds());
      } else {
        const [longitude, latitude] = feature.geometry.coordinates;
        const dot = L.circleMarker([latitude, longitude], { renderer, radius: 5, stroke: false, fillOpacity: opacity + 0.2, interactive: false });
        this.painted.push([dot, () => ({ fillColor: style("--usual") })]);
        this.usual.addLayer(dot);
        shapes.add(dot);
        this.extent.extend(dot.getLatLng());
      }
    }
    this.#paint();
  }

  showLayer(collection, { kind, label }) {
    const renderer = (this.layerRenderer ??= L.canvas({ pane: "layers" }));
    const look = () => ({ color: style(`--layer-${kind === "streets" ? "streets" : "lines"}`), weight: kind === "streets" ? 0.8 : 1.4, dashArray: kind === "beats" ? "6 4" : null });
    const drawn = L.geoJSON(collection, {
      renderer, interactive: false, style: () => ({ fill: false, ...look() }),
      pointToLayer: (_, place) => L.circleMarker(place, { renderer, radius: 2, interactive: false }),
    }).addTo(this.map);
    drawn.eachLayer((each) => this.painted.push([each, look]));
    if (drawn.getBounds().isValid()) this.extent.extend(drawn.getBounds());
    this.layers.push({ drawn, kind, label: label || "name" });
    this.#label();
  }

  /** Shows the whole area, or the alerts if its extent is not known. */
  showAll() {
    const bounds = L.latLngBounds([]).extend(this.extent.isValid() ? this.extent : []);
    for (const { zone } of this.zones.values()) bounds.extend(zone.getBounds());
    if (bounds.isValid()) this.map.fitBounds(bounds, { padding: [12, 12], maxZoom: 15, animate: false });
  }

  /** Shows the whole area until the user chooses a part of it. */
  showAtFirst() {
    if (!this.isChosen) this.showAll();
  }

  show(features, selected) {
    const wanted = new Set(features.map((feature) => feature.id));
    for (const [id, { group }] of this.zones) {
      if (!wanted.has(id)) {
        group.remove();
        this.zones.delete(id);
      }
    }
    // The most urgent come last, so they are on top.
    const upwards = [...features].reverse();
    upwards.forEach((feature, order) => this.#zone(feature, selected, order));
    const drawn = upwards.map((feature) => feature.id).join();
    if (this.drawn === drawn) return;
    this.drawn = drawn;
    for (const { id } of upwards) this.zones.get(id).zone.bringToFront();
  }

  /** Shows the exact locations of the alert whose card is open. */
  showCells(collection, tier) {
    this.selectedCells.clearLayers();
    this.element.classList.toggle("has-card", collection !== null);
    if (!collection) return;
    L.geoJSON(collection, {
      pane: "zones", interactive: false,
      style: () => ({ className: `cell chosen tier-${tier}` }),
      pointToLayer: (_, place) => L.circleMarker(place, { pane: "zones", radius: 4, className: `cell chosen tier-${tier}` }),
    }).addTo(this.selectedCells);
  }

  /** Moves an alert into the part of the map that the card does not cover. */
  goTo(id) {
    const zone = this.zones.get(id)?.zone;
    if (!zone) return;
    this.isChosen = true;
    const card = document.getElementById("card");
    const covered = card.hidden || card.offsetWidth >= this.element.clientWidth ? 0 : CARD_WIDTH; // 0 too where the card covers the whole map
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.map.fitBounds(zone.getBounds(), {
      paddingTopLeft: [40, 40], paddingBottomRight: [covered + 40, 40], maxZoom: 15, animate: !calm, duration: 0.4,
    });
  }

  #zone(feature, selected, order) {
    const alert = feature.properties;
    const looks = [
      `tier-${alert.tier}`, alert.state, alert.id === selected && "selected", this.alerts.isNew(alert) && "new",
      this.alerts.isPulsing(alert) && "pulsing", alert.status === "exercise" && "exercise",
    ].filter(Boolean).join(" ");
    if (!this.zones.has(alert.id)) this.zones.set(alert.id, this.#newZone(feature));
    const known = this.zones.get(alert.id);
    const placed = `${alert.revision}|${this.cells.size}`;
    if (known.placed !== placed) this.#place(known, feature);
    known.placed = placed;
    for (const [element, classes] of known.classes) setAttribute(element, "class", `${classes} ${looks}`);
    if (known.order !== order) known.marker.setZIndexOffset(order * 100);
    known.order = order;
  }

  #newZone(feature) {
    const [longitude, latitude] = feature.geometry.coordinates;
    const zone = L.circle([latitude, longitude], { pane: "zones", radius: 0, className: "zone", bubblingMouseEvents: false });
    const marker = L.marker([latitude, longitude], {
      icon: L.divIcon({ className: "marker", iconSize: [30, 30], html: h("span", { class: "dot" }) }), keyboard: true, riseOnHover: true,
    });
    const cells = L.featureGroup();
    const known = { feature, zone, marker, cells, group: L.layerGroup([cells, zone, marker]).addTo(this.map) };
    known.classes = [zone, marker].map((each) => [each.getElement(), each.getElement().getAttribute("class")]);
    marker.bindTooltip(() => {
      const alert = known.feature.properties;
      return h("span", {}, h("b", {}, placeWords(known.feature)), h("br"), `${streamWords(alert.category)}, ${countWords(alert)}`);
    }, { direction: "top", offset: [0, -14] });
    for (const each of [zone, marker]) each.on("click", () => this.on.open(feature.id));
    marker.getElement().dataset.alert = feature.id;
    marker.getElement().addEventListener("keydown", (event) => event.key === "Enter" && this.on.open(feature.id));
    return known;
  }

  /** Moves what is already drawn, so that it keeps the focus and an open tooltip. */
  #place(known, feature) {
    const { zone, marker, cells } = known;
    const alert = feature.properties;
    const [longitude, latitude] = feature.geometry.coordinates;
    known.feature = feature;
    zone.setLatLng([latitude, longitude]).setRadius(Math.max(alert.radius_m, 60));
    marker.setLatLng([latitude, longitude]).getTooltip().update();
    setText(marker.getElement().firstElementChild, String(alert.observed));
    setAttribute(marker.getElement(), "aria-label", `${tierWords(alert.tier)}: ${placeWords(feature)}, ${streamWords(alert.category)}, ${countWords(alert)}`);
    const ids = alert.cells.filter((id) => this.cells.has(id));
    const drawn = [alert.tier, ...ids].join();
    if (known.cellsDrawn === drawn) return;
    known.cellsDrawn = drawn;
    cells.clearLayers();
    for (const id of ids) cells.addLayer(L.polygon(this.cells.get(id), { pane: "zones", className: `cell tier-${alert.tier}`, interactive: false }));
    cells.bringToBack();
  }

  #wholeArea() {
    const whole = L.control({ position: "bottomleft" });
    whole.onAdd = () => {
      const button = h("button", { type: "button", class: "whole-area", title: "key m", onclick: () => this.showAll() }, "Whole area");
      L.DomEvent.disableClickPropagation(button);
      return button;
    };
    whole.addTo(this.map);
  }

  /** The legend of the shades. */
  #scale() {
    const scale = L.control({ position: "bottomleft" });
    scale.onAdd = () => h("div", { class: "usual-scale" }, "usually quiet", ["low", "middle", "high"].map((shade) => h("span", { class: shade })), "busy");
    scale.addTo(this.map);
  }

  /** Colours the canvas, which style sheets do not reach. */
  #paint() {
    for (const [layer, look] of this.painted) layer.setStyle(look());
  }

  /** Labels the features in view, as far as there is room. */
  #label() {
    this.labels.clearLayers();
    const zoom = this.map.getZoom();
    const view = this.map.getBounds();
    const taken = [];
    let left = LABELS;
    for (const { drawn, kind, label } of this.layers) {
      if (zoom < (kind === "streets" ? STREET_LABEL_ZOOM : BEAT_LABEL_ZOOM) || kind === "boundary") continue;
      const [wide, high] = LABEL_SPACE[kind] ?? LABEL_SPACE.streets;
      drawn.eachLayer((each) => {
        const name = each.feature.properties?.[label];
        const place = name && this.#middle(each, view);
        if (!place || left === 0) return;
        const point = this.map.latLngToContainerPoint(place);
        if (taken.some((other) => Math.abs(other.x - point.x) < wide && Math.abs(other.y - point.y) < high)) return;
        taken.push(point);
        left -= 1;
        const icon = L.divIcon({ className: `label label-${kind}`, iconSize: null, html: h("span", {}, String(name)) });
        this.labels.addLayer(L.marker(place, { icon, pane: "labels", interactive: false, keyboard: false }));
      });
    }
  }

  /** The place for a feature's label, null if the feature is out of view. */
  #middle(layer, view) {
    if (layer.getLatLng) return view.contains(layer.getLatLng()) ? layer.getLatLng() : null;
    const bounds = layer.getBounds();
    if (!view.intersects(bounds)) return null;
    if (view.contains(bounds.getCenter())) return bounds.getCenter();
    const points = layer.getLatLngs().flat(Infinity);
    return points.find((point) => view.pad(-0.05).contains(point)) ?? null;
  }
}
