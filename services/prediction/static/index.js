SwaggerUIBundle({ url: "docs.json", dom_id: "#api", validatorUrl: null, defaultModelsExpandDepth: -1 });
