"""Models as estimators of scikit-learn: cross-validation, a grid of parameters, a pipeline."""

import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from keras.wrappers.scikit_learn import KerasClassifier, KerasRegressor
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

x = np.random.rand(60, 4)
names = np.array(["ant", "bee", "cow"])[(3 * x[:, 0]).astype(int)]


def create_model(units=8, optimizer="adam"):
    model = Sequential()
    model.add(Dense(units, input_dim=4, activation="relu"))
    model.add(Dense(3, activation="softmax"))
    model.compile(loss="categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    return model


classifier = KerasClassifier(build_fn=create_model, epochs=2, batch_size=10, verbose=0)
scores = cross_val_score(classifier, x, names, cv=StratifiedKFold(n_splits=3, shuffle=True))
assert scores.shape == (3,)
assert not np.isnan(scores).any()
search = GridSearchCV(classifier, {"units": [4, 6], "epochs": [1, 40]}, cv=2, n_jobs=1)
result = search.fit(x, names)
assert set(result.best_params_) == {"units", "epochs"}
assert len(result.cv_results_["mean_test_score"]) == 4
history = classifier.fit(x, names, epochs=3)
assert len(history.history["loss"]) == 3
assert set(classifier.predict(x)) <= {"ant", "bee", "cow"}
assert np.allclose(classifier.predict_proba(x).sum(axis=1), 1)
assert classifier.score(x, names) == (classifier.predict(x) == names).mean()
assert classifier.model.count_params() == 5 * 8 + 9 * 3


def binary_model():
    model = Sequential([Dense(1, activation="sigmoid", input_dim=4)])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


binary = KerasClassifier(binary_model, nb_epoch=1, verbose=0)
pipeline = Pipeline([("scale", StandardScaler()), ("network", binary)])
pipeline.fit(x, x[:, 1] > 0.5)
assert pipeline.predict_proba(x).shape == (60, 2)
assert pipeline.predict(x).dtype == bool


def regression_model():
    model = Sequential([Dense(5, input_dim=4, activation="relu"), Dense(1)])
    model.compile(loss="mean_squared_error", optimizer="adam")
    return model


regressor = KerasRegressor(build_fn=regression_model, epochs=2, verbose=0)
results = cross_val_score(regressor, x, x.sum(axis=1), cv=KFold(n_splits=3))
assert (results < 0).all()
regressor.fit(x, x.sum(axis=1))
assert regressor.predict(x).shape == (60,)
